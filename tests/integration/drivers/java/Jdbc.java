import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/**
 * JDBC: prepared by the driver and on the server (prepareThreshold), binary transfer, batches with and
 * without reWriteBatchedInserts, fetchSize, CopyManager, updatable results, metadata, cancel, LISTEN.
 */
public class Jdbc {
    static final boolean NEW = System.getenv("SHAPE").equals("new");
    static final String COLUMN = NEW ? "roles" : "role";
    static final String TOTAL = NEW ? "total" : "total_cents";
    static final int BASE = Integer.parseInt(System.getenv().getOrDefault("BASE", "0"));
    /** Whose row a statement sleeps in until it is canceled. */
    static final int NAPPER = BASE == 0 ? 1 : BASE;
    static final String USER_ROWS =
        "FROM users WHERE id BETWEEN " + BASE + " AND " + (BASE + 9) + " ORDER BY id";

    static final String URL = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
        + "/" + System.getenv("PGDATABASE");

    static Properties properties(String... more) {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        if (System.getenv("PGPASSWORD") != null) {
            properties.setProperty("password", System.getenv("PGPASSWORD"));
        }
        if (System.getenv("PGSSLROOTCERT") != null) {
            properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
            properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        }
        for (int i = 0; i < more.length; i += 2) {
            properties.setProperty(more[i], more[i + 1]);
        }
        return properties;
    }

    static Connection connect(String... more) throws SQLException {
        return DriverManager.getConnection(URL, properties(more));
    }

    /** What asks a connection whether it lives, and sets it back as it returns. */
    static HikariDataSource pool(int size) {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(URL);
        config.setDataSourceProperties(properties("prepareThreshold", "1"));
        config.setMaximumPoolSize(size);
        return new HikariDataSource(config);
    }

    static void say(String what, Object... values) {
        System.out.println(what + " " + Arrays.deepToString(values));
    }

    static String text(Object value) throws SQLException {
        return value instanceof Array ? Arrays.toString((Object[]) ((Array) value).getArray()) : "" + value;
    }

    static List<String> rows(ResultSet result) throws SQLException {
        List<String> rows = new ArrayList<>();
        int columns = result.getMetaData().getColumnCount();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= columns; i++) {
                row.add(text(result.getObject(i)));
            }
            rows.add(row.toString());
        }
        return rows;
    }

    static List<String> query(Connection c, String sql) throws SQLException {
        try (Statement statement = c.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    static void setRole(PreparedStatement statement, int index, String... names) throws SQLException {
        if (NEW) {
            statement.setArray(index, statement.getConnection().createArrayOf("text", names));
        } else {
            statement.setString(index, String.join(",", names));
        }
    }

    static void setTotal(PreparedStatement statement, int index, long cents) throws SQLException {
        if (NEW) {
            statement.setBigDecimal(index, BigDecimal.valueOf(cents, 2));
        } else {
            statement.setLong(index, cents);
        }
    }

    static void setAmount(PreparedStatement statement, int index, int number) throws SQLException {
        if (NEW) {
            statement.setBigDecimal(index, new BigDecimal(number + ".25"));
        } else {
            statement.setString(index, number + ".25");
        }
    }

    static void describe(ResultSetMetaData columns) throws SQLException {
        for (int i = 1; i <= columns.getColumnCount(); i++) {
            say("column", columns.getColumnName(i), columns.getColumnTypeName(i), columns.getColumnType(i),
                columns.getPrecision(i), columns.getScale(i), columns.isNullable(i), columns.getTableName(i),
                columns.getColumnClassName(i));
        }
    }

    static void prepared(Connection c, boolean described) throws SQLException {
        try (PreparedStatement select = c.prepareStatement(
                 "SELECT u.id, u." + COLUMN + ", t.amount FROM users u"
                 + " LEFT JOIN transactions t ON t.id = u.id WHERE u.id = ?")) {
            if (described) {
                describe(select.getMetaData());
            }
            for (int i = 1; i <= 8; i++) { // on the server from the fifth on, then in binary
                select.setInt(1, i);
                say("prepared", rows(select.executeQuery()));
            }
        }
        try (PreparedStatement update = c.prepareStatement(
                 "UPDATE users SET " + COLUMN + " = ? WHERE id = ? AND " + COLUMN + " IS NOT NULL")) {
            if (described) {
                ParameterMetaData parameters = update.getParameterMetaData();
                say("parameters", parameters.getParameterTypeName(1), parameters.getParameterTypeName(2));
            }
            for (int i = 1; i <= 7; i++) {
                setRole(update, 1, "jdbc", "" + i);
                update.setInt(2, i);
                say("updated", update.executeUpdate());
            }
        }
    }

    static void batches(Connection c, int first) throws SQLException {
        try (PreparedStatement insert = c.prepareStatement(
                 "INSERT INTO users (id, name, " + COLUMN + ") VALUES (?, ?, ?)", new String[] {"id", COLUMN})) {
            for (int i = 0; i < 10; i++) {
                insert.setInt(1, first + i);
                insert.setString(2, "b" + i);
                setRole(insert, 3, "b", "" + i);
                insert.addBatch();
            }
            say("batch", Arrays.toString(insert.executeBatch()), rows(insert.getGeneratedKeys()));
        }
        try (PreparedStatement insert = c.prepareStatement("INSERT INTO orders VALUES (?, ?, ?)")) {
            for (int i = 0; i < 7; i++) {
                insert.setInt(1, first + i);
                insert.setInt(2, i);
                setTotal(insert, 3, 100 * i);
                insert.addBatch();
            }
            say("rewritten", Arrays.toString(insert.executeBatch()));
            insert.setInt(1, first + 50);
            insert.setInt(2, 1);
            setTotal(insert, 3, 1);
            insert.addBatch();
            insert.setInt(1, 1);
            insert.addBatch();
            insert.executeBatch();
        } catch (BatchUpdateException error) {
            say("batch failed", error.getSQLState(), Arrays.toString(error.getUpdateCounts()));
        }
        try (Statement statement = c.createStatement()) {
            statement.addBatch("UPDATE users SET " + COLUMN + " = NULL WHERE id = " + first);
            statement.addBatch("DELETE FROM users WHERE id = " + (first + 1));
            say("texts", Arrays.toString(statement.executeBatch()));
        }
        say("after", query(c, "SELECT * FROM users ORDER BY id"), query(c, "SELECT * FROM orders ORDER BY id"));
    }

    static void transaction(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement statement = c.createStatement()) {
            statement.executeUpdate("UPDATE orders SET " + TOTAL + " = 7 WHERE id = 1");
            Savepoint savepoint = c.setSavepoint("here");
            try {
                statement.executeUpdate("INSERT INTO users (id) VALUES (1)");
            } catch (SQLException error) {
                say("unique", error.getSQLState());
            }
            c.rollback(savepoint);
            statement.setFetchSize(2);
            say("fetched", rows(statement.executeQuery("SELECT id, " + COLUMN + " FROM users ORDER BY id")));
            try (ResultSet scrolled = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE,
                    ResultSet.CONCUR_UPDATABLE).executeQuery("SELECT id, name, " + COLUMN + " FROM users")) {
                scrolled.absolute(2);
                scrolled.updateString("name", "in place");
                scrolled.updateRow();
                say("in place", text(scrolled.getObject(COLUMN)), scrolled.getString("name"));
            }
        }
        c.commit();
        c.setAutoCommit(true);
    }

    static void copy(Connection c) throws Exception {
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        say("copied", copy.copyIn("COPY users (id, name, " + COLUMN + ") FROM STDIN", new StringReader(
            NEW ? "700\tcopied\t{x,y}\n701\tnothing\t\\N\n" : "700\tcopied\tx,y\n701\tnothing\t\\N\n")));
        StringWriter out = new StringWriter();
        copy.copyOut("COPY (SELECT id, " + COLUMN + " FROM users ORDER BY id) TO STDOUT (FORMAT csv)", out);
        say("copy", out);
    }

    static void cancelAndGoOn(Connection c, Connection other) throws Exception {
        try (Statement statement = c.createStatement()) {
            Thread canceler = new Thread(() -> {
                try {
                    query(other, "SELECT wait_for_nap(" + NAPPER + ")");
                    statement.cancel();
                } catch (SQLException error) {
                    throw new IllegalStateException(error);
                }
            });
            canceler.start();
            try {
                statement.executeUpdate("UPDATE users SET " + COLUMN + " = NULL, name = nap(" + NAPPER
                                        + ") WHERE id = " + NAPPER);
            } catch (SQLException error) {
                say("canceled", error.getSQLState());
            }
            canceler.join();
        }
        say("after it", query(c, "SELECT " + COLUMN + ", name FROM users WHERE id = " + NAPPER));
    }

    static void listen(Connection c) throws SQLException {
        try (Statement statement = c.createStatement()) {
            statement.execute("LISTEN news");
            statement.execute("NOTIFY news, 'hello'");
        }
        for (PGNotification event : c.unwrap(PGConnection.class).getNotifications(10000)) {
            say("heard", event.getName(), event.getParameter());
        }
    }

    /** Four who come at once for two connections; one leaves a transaction open. */
    static void pooled() throws Exception {
        try (HikariDataSource pool = pool(2)) {
            List<Future<List<String>>> all = new ArrayList<>();
            ExecutorService threads = Executors.newFixedThreadPool(4);
            for (int i = 1; i <= 4; i++) {
                int id = i;
                all.add(threads.submit(() -> {
                    try (Connection c = pool.getConnection();
                         PreparedStatement select = c.prepareStatement(
                             "SELECT id, " + COLUMN + " FROM users WHERE id = ?")) {
                        select.setInt(1, id);
                        return rows(select.executeQuery());
                    }
                }));
            }
            for (Future<List<String>> each : all) {
                say("pooled", each.get());
            }
            threads.shutdown();
            try (Connection c = pool.getConnection()) {
                c.setAutoCommit(false);
                c.createStatement().executeUpdate("UPDATE users SET " + COLUMN + " = NULL");
            }
            try (Connection c = pool.getConnection()) {
                say("returned", c.getAutoCommit(), query(c, "SELECT * FROM users ORDER BY id"));
            }
        }
    }

    static void catalog(Connection c) throws SQLException {
        try (ResultSet columns = c.getMetaData().getColumns(null, "public", "plain", null)) {
            while (columns.next()) {
                say("of plain", columns.getString("COLUMN_NAME"), columns.getString("TYPE_NAME"));
            }
        }
    }

    static void idioms() throws Exception {
        try (Connection c = connect(); Connection rewriting = connect("reWriteBatchedInserts", "true");
             Connection simple = connect("preferQueryMode", "simple")) {
            say("star", query(c, "SELECT * FROM users ORDER BY id"));
            prepared(c, true);
            prepared(simple, false); // without the extended protocol nothing can be described
            batches(c, 500);
            batches(rewriting, 600);
            transaction(c);
            copy(c);
            cancelAndGoOn(c, rewriting);
            cancelAndGoOn(simple, rewriting);
            listen(c);
            catalog(c);
            pooled();
            say("last", query(c, "SELECT " + COLUMN + ", count(*) FROM users GROUP BY 1 ORDER BY 1"));
        }
    }

    /** What goes on from round to round. */
    static class Rounds {
        final Connection c = connect("prepareThreshold", "1", "reWriteBatchedInserts", "true");
        final Connection reader = connect();
        final HikariDataSource pool = pool(1);
        final PreparedStatement select =
            c.prepareStatement("SELECT id, " + COLUMN + " FROM users WHERE id = ?");
        final PreparedStatement pay = c.prepareStatement("UPDATE transactions SET amount = ? WHERE id = ?");
        final PreparedStatement paid = c.prepareStatement("SELECT * FROM transactions WHERE id = ?");
        final PreparedStatement order = c.prepareStatement("INSERT INTO orders VALUES (?, ?, ?)");
        final PreparedStatement chunks;
        ResultSet chunk;

        Rounds() throws SQLException {
            c.createStatement().execute("LISTEN news_" + BASE);
            reader.setAutoCommit(false);
            chunks = reader.prepareStatement("SELECT id, " + COLUMN + " " + USER_ROWS);
            chunks.setFetchSize(2);
        }

        void round(int number) throws Exception {
            if (chunk != null) {
                say("rest", rows(chunk));
                reader.commit();
                chunk = null;
            }
            if (number == 0) {
                return;
            }
            int at = BASE + number % 10;
            try (Connection other = pool.getConnection();
                 PreparedStatement change = other.prepareStatement(
                     "UPDATE users SET " + COLUMN + " = ? WHERE id = ?")) {
                setRole(change, 1, "p" + number, "x");
                change.setInt(2, at);
                say("changed", change.executeUpdate());
            }
            select.setInt(1, at);
            say("role", rows(select.executeQuery()));
            setAmount(pay, 1, number);
            pay.setInt(2, at);
            paid.setInt(1, at);
            say("amount", pay.executeUpdate(), rows(paid.executeQuery()));
            describe(paid.getMetaData());
            for (int i = 0; i < 5; i++) {
                order.setInt(1, BASE + 20 + i);
                order.setInt(2, i);
                setTotal(order, 3, 100 * number + i);
                order.addBatch();
            }
            say("batch", Arrays.toString(order.executeBatch()));
            change(number, at);
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            copy.copyIn("COPY orders (id, " + TOTAL + ") FROM STDIN", new StringReader(
                (BASE + 30) + "\t" + number + "\n" + (BASE + 31) + "\t\\N\n"));
            StringWriter out = new StringWriter();
            copy.copyOut("COPY (SELECT * FROM orders WHERE id BETWEEN " + BASE + " AND " + (BASE + 99)
                         + " ORDER BY id) TO STDOUT", out);
            say("orders", out);
            query(c, "DELETE FROM orders WHERE id BETWEEN " + (BASE + 20) + " AND " + (BASE + 39)
                     + " RETURNING id");
            c.createStatement().execute("NOTIFY news_" + BASE + ", '" + number + "'");
            say("heard", c.unwrap(PGConnection.class).getNotifications(10000)[0].getParameter());
            try (Connection other = pool.getConnection()) {
                cancelAndGoOn(c, other);
            }
            chunk = chunks.executeQuery();
            for (int i = 0; i < 3 && chunk.next(); i++) {
                say("chunk", chunk.getInt(1), text(chunk.getObject(2)));
            }
        }

        void change(int number, int at) throws SQLException {
            c.setAutoCommit(false);
            try (Statement statement = c.createStatement()) {
                statement.executeUpdate("UPDATE orders SET " + TOTAL + " = " + TOTAL + " + 1 WHERE id = " + at);
                Savepoint here = c.setSavepoint();
                try {
                    statement.executeUpdate("INSERT INTO orders VALUES (" + at + ", 1, 2)");
                } catch (SQLException error) {
                    say("unique", error.getSQLState());
                }
                c.rollback(here);
            }
            c.commit();
            c.setAutoCommit(true);
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("idioms")) {
            idioms();
            return;
        }
        Rounds rounds = new Rounds();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            rounds.round(Integer.parseInt(line));
            System.out.println(".");
        }
    }
}
