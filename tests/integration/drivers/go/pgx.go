// Go's pgx: each of its statement cache modes, the simple protocol, batches, CopyFrom, a pool,
// savepoints, cursors, LISTEN, cancel by context.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var (
	ctx    = context.Background()
	isNew  = os.Getenv("SHAPE") == "new"
	column = choose("roles", "role").(string)
	total  = choose("total", "total_cents").(string)
	base   = number(os.Getenv("BASE"))
	napper = chooseNapper()
)

type database interface {
	Exec(context.Context, string, ...interface{}) (pgconn.CommandTag, error)
	Query(context.Context, string, ...interface{}) (pgx.Rows, error)
}

func choose(ofNew, ofOld interface{}) interface{} {
	if isNew {
		return ofNew
	}
	return ofOld
}

// Whose row a statement sleeps in until it is canceled.
func chooseNapper() int {
	if base == 0 {
		return 1
	}
	return base
}

func number(text string) int {
	value, _ := strconv.Atoi(text) // no BASE is 0
	return value
}

func role(names ...string) interface{} {
	return choose(names, strings.Join(names, ","))
}

func cents(value int) interface{} {
	return choose(float64(value)/100, int64(value))
}

func amount(value int) interface{} {
	return choose(float64(value)+0.25, fmt.Sprintf("%d.25", value))
}

func say(what string, values ...interface{}) {
	fmt.Printf("%s %q\n", what, fmt.Sprint(values...))
}

func must(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%T %v\n", err, err)
		panic(err)
	}
}

func sqlstate(err error) string {
	var problem *pgconn.PgError
	if errors.As(err, &problem) {
		return problem.Code + " " + problem.ConstraintName
	}
	return fmt.Sprint("not an error of PostgreSQL: ", err)
}

// Every row as the driver decodes it, and what it was told of the columns.
func all(rows pgx.Rows, err error) string {
	must(err)
	defer rows.Close()
	var text strings.Builder
	for _, field := range rows.FieldDescriptions() {
		fmt.Fprintf(&text, "%s:%d:%d:%d ", field.Name, field.DataTypeOID, field.TypeModifier, field.Format)
	}
	for rows.Next() {
		values, err := rows.Values()
		must(err)
		for i, field := range rows.FieldDescriptions() {
			if field.DataTypeOID == 1009 || field.DataTypeOID == 1700 {
				values[i] = rows.RawValues()[i] // the driver's own types for text[] and numeric hold pointers
			}
		}
		fmt.Fprintf(&text, "%v ", values)
	}
	must(rows.Err())
	return text.String()
}

func run(db database, sql string, values ...interface{}) string {
	tag, err := db.Exec(ctx, sql, values...)
	must(err)
	return tag.String()
}

func connect(mode string) *pgx.Conn {
	config, err := pgx.ParseConfig("")
	must(err)
	switch mode {
	case "prepare", "describe":
		config.BuildStatementCache = func(conn *pgconn.PgConn) stmtcache.Cache {
			return stmtcache.New(conn, map[string]int{"prepare": stmtcache.ModePrepare,
				"describe": stmtcache.ModeDescribe}[mode], 64)
		}
	case "none":
		config.BuildStatementCache = nil
	case "simple":
		config.BuildStatementCache = nil
		config.PreferSimpleProtocol = true
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	must(err)
	return conn
}

func reading(conn *pgx.Conn) {
	say("star", all(conn.Query(ctx, "SELECT * FROM users ORDER BY id")))
	for id := 1; id < 5; id++ {
		say("by id", all(conn.Query(ctx, "SELECT id, "+column+" FROM users WHERE id = $1", id)))
	}
	say("by role", all(conn.Query(ctx, "SELECT id FROM users WHERE "+column+" = $1", role("admin"))))
	var scanned []string
	if isNew {
		must(conn.QueryRow(ctx, "SELECT roles FROM users WHERE id = 1").Scan(&scanned))
	} else {
		scanned = make([]string, 1)
		must(conn.QueryRow(ctx, "SELECT role FROM users WHERE id = 1").Scan(&scanned[0]))
	}
	say("scanned", scanned)
}

func transaction(conn *pgx.Conn) {
	tx, err := conn.Begin(ctx)
	must(err)
	say("changed", run(tx, "UPDATE orders SET "+total+" = $1 WHERE id = 1", cents(4200)))
	inner, err := tx.Begin(ctx) // a savepoint
	must(err)
	_, err = inner.Exec(ctx, "INSERT INTO users (id) VALUES ($1)", 1)
	say("unique", sqlstate(err))
	must(inner.Rollback(ctx))
	run(tx, "DECLARE chunks CURSOR FOR SELECT id, "+column+" FROM users ORDER BY id")
	for i := 0; i < 3; i++ {
		say("chunk", all(tx.Query(ctx, "FETCH 2 FROM chunks")))
	}
	must(tx.Commit(ctx))
}

func batch(conn *pgx.Conn, first int) {
	var batch pgx.Batch
	for i := 0; i < 5; i++ {
		batch.Queue("INSERT INTO orders VALUES ($1, $2, $3) RETURNING *", first+i, i, cents(100*i))
	}
	batch.Queue("SELECT count(*), sum("+total+") FROM orders WHERE id BETWEEN $1 AND $2", first, first+9)
	results := conn.SendBatch(ctx, &batch)
	for i := 0; i < 6; i++ {
		say("batch", all(results.Query()))
	}
	must(results.Close())
}

func copying(conn *pgx.Conn, first int) {
	count, err := conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "name", column},
		pgx.CopyFromRows([][]interface{}{{first, "copied", role("x", "y")}, {first + 1, "nothing", nil}}))
	must(err)
	say("copied", count)
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT id, "+column+" FROM users ORDER BY id) TO STDOUT")
	must(err)
	say("copy", out.String())
}

// A context that ends closes pgx's connection; its own cancel request does not.
func cancelAndGoOn(conn *pgx.Conn, other database) {
	canceled := make(chan error)
	go func() {
		_, err := other.Exec(ctx, "SELECT wait_for_nap($1)", napper)
		must(err)
		canceled <- conn.PgConn().CancelRequest(ctx)
	}()
	_, err := conn.Exec(ctx, "UPDATE users SET "+column+" = NULL, name = nap($1) WHERE id = $1", napper)
	say("canceled", sqlstate(err))
	must(<-canceled)
	say("after it", all(conn.Query(ctx, "SELECT "+column+", name FROM users WHERE id = $1", napper)))
}

func heard(conn *pgx.Conn, channel, payload string) string {
	run(conn, "NOTIFY "+channel+", '"+payload+"'")
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	event, err := conn.WaitForNotification(limited)
	must(err)
	return event.Payload
}

func idioms() {
	pool, err := pgxpool.Connect(ctx, "")
	must(err)
	for i, mode := range []string{"prepare", "describe", "none", "simple"} {
		conn := connect(mode)
		reading(conn)
		say("updated", run(conn, "UPDATE users SET "+column+" = $1 WHERE id = $2", choose(
			[]string{"go", mode}, "go,"+mode), i+1))
		if mode != "simple" { // whose literals of text[] are the program's own affair
			transaction(conn)
			batch(conn, 400+10*i)
			copying(conn, 450+10*i)
		}
		cancelAndGoOn(conn, pool)
		run(conn, "LISTEN news")
		say("heard", heard(conn, "news", "hello"))
		must(conn.Close(ctx))
	}
	conn := connect("prepare")
	described, err := conn.Prepare(ctx, "described", "SELECT * FROM users WHERE "+column+" = $1")
	must(err)
	say("described", described.ParamOIDs, len(described.Fields), described.Fields[2].DataTypeOID)
	say("used", all(conn.Query(ctx, "described", role("go", "none"))))
	must(conn.Close(ctx))
	pool.Close()
}

type program struct {
	pool           *pgxpool.Pool
	conn, describe *pgx.Conn
	reader         *pgxpool.Conn
	cursor         pgx.Tx
}

func begin() *program {
	pool, err := pgxpool.Connect(ctx, "")
	must(err)
	p := &program{pool: pool, conn: connect("prepare"), describe: connect("describe")}
	p.reader, err = pool.Acquire(ctx)
	must(err)
	run(p.conn, fmt.Sprintf("LISTEN news_%d", base))
	return p
}

func (p *program) round(number int) {
	if p.cursor != nil {
		say("rest", all(p.cursor.Query(ctx, "FETCH ALL FROM chunks")))
		must(p.cursor.Commit(ctx))
		p.cursor = nil
	}
	if number == 0 {
		return
	}
	at := base + number%10
	say("updated", run(p.pool, "UPDATE users SET "+column+" = $1 WHERE id = $2",
		role(fmt.Sprintf("p%d", number), "x"), at))
	for _, conn := range []*pgx.Conn{p.conn, p.describe} {
		say("role", all(conn.Query(ctx, "SELECT id, "+column+" FROM users WHERE id = $1", at)))
		run(conn, "UPDATE transactions SET amount = $1 WHERE id = $2", amount(number), at)
		say("amount", all(conn.Query(ctx, "SELECT * FROM transactions WHERE id = $1", at)))
		batch(conn, base+20)
		run(conn, "DELETE FROM orders WHERE id BETWEEN $1 AND $2", base+20, base+39)
	}
	tx, err := p.conn.Begin(ctx)
	must(err)
	run(tx, "UPDATE orders SET "+total+" = "+total+" + $1 WHERE id = $2", cents(100), at)
	inner, err := tx.Begin(ctx)
	must(err)
	_, err = inner.Exec(ctx, "INSERT INTO orders (id) VALUES ($1)", at)
	say("unique", sqlstate(err))
	must(inner.Rollback(ctx))
	must(tx.Commit(ctx))
	_, err = p.conn.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"id", total},
		pgx.CopyFromRows([][]interface{}{{base + 30, cents(number)}, {base + 31, nil}}))
	must(err)
	say("orders", all(p.conn.Query(ctx, "SELECT * FROM orders WHERE id BETWEEN $1 AND $2 ORDER BY id",
		base, base+99)))
	run(p.conn, "DELETE FROM orders WHERE id BETWEEN $1 AND $2", base+20, base+39)
	say("heard", heard(p.conn, fmt.Sprintf("news_%d", base), fmt.Sprint(number)))
	cancelAndGoOn(p.conn, p.pool)
	p.cursor, err = p.reader.Begin(ctx)
	must(err)
	run(p.cursor, fmt.Sprintf("DECLARE chunks CURSOR FOR SELECT id, %s FROM users"+
		" WHERE id BETWEEN %d AND %d ORDER BY id", column, base, base+9))
	say("chunk", all(p.cursor.Query(ctx, "FETCH 3 FROM chunks")))
}

func main() {
	if os.Args[1] == "idioms" {
		idioms()
		return
	}
	p := begin()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		p.round(number(in.Text()))
		fmt.Println(".")
	}
}
