# Ruby pg: exec_params, prepared statements, transactions, pipelines, COPY, single-row mode, LISTEN, cancel, pools.
require 'connection_pool'
require 'pg'

NEW = ENV['SHAPE'] == 'new'
COLUMN = NEW ? 'roles' : 'role'
def role(*names) = NEW ? PG::TextEncoder::Array.new.encode(names) : names.join(',')
def say(what, *values) = puts([what, *values.map(&:inspect)].join(' '))
TOTAL = NEW ? 'total' : 'total_cents'
BASE = ENV['BASE'].to_i
NAPPER = BASE.zero? ? 1 : BASE # whose row a statement sleeps in until it is canceled
def total(cents) = NEW ? format('%.2f', cents / 100.0) : cents
def connect = PG.connect # libpq finds where in the environment

def idioms
  c = connect
  result = c.exec('SELECT * FROM users ORDER BY id')
  say 'star', result.fields, result.fields.each_index.map { |i| [result.ftype(i), result.fmod(i)] }, result.values
  c.prepare('by role', "SELECT id FROM users WHERE #{COLUMN} = $1 ORDER BY id")
  %w[viewer admin nobody].each { |name| say 'prepared', c.exec_prepared('by role', [role(name)]).values }
  described = c.describe_prepared('by role')
  say 'described', described.nparams, described.paramtype(0), described.fields
  c.transaction do
    say 'inserted', c.exec_params("INSERT INTO users (id, name, #{COLUMN}) VALUES ($1, $2, $3) RETURNING *",
                                  [150, 'ruby', role('r', 'b')]).values
  end
  begin
    c.transaction do
      c.exec_params("UPDATE users SET #{COLUMN} = $1", [role('undone')])
      c.exec('INSERT INTO users (id) VALUES (1)')
    end
  rescue PG::UniqueViolation => error
    say 'unique', error.result.error_field(PG::PG_DIAG_SQLSTATE), error.result.error_field(PG::PG_DIAG_CONSTRAINT_NAME)
  end
  c.copy_data('COPY users TO STDOUT') do
    lines = []
    while (line = c.get_copy_data)
      lines << line
    end
    say 'copy', lines.sort
  end
  c.send_query("SELECT id, #{COLUMN} FROM users ORDER BY id")
  c.set_single_row_mode
  while (rows = c.get_result)
    say 'single', rows.values
  end
  c.exec('LISTEN news')
  c.exec("NOTIFY news, 'hello'")
  c.wait_for_notify(10) { |channel, _, payload| say 'heard', channel, payload }
  pooled = pool(2)
  threads(pooled)
  pooled.with { |other| cancel_and_go_on(c, other) }
  pooled.shutdown(&:finish)
  say 'binary', c.exec_params("SELECT #{COLUMN} FROM users ORDER BY id", [], 1).values
  c.finish
end

def pool(size) = ConnectionPool.new(size: size, timeout: 30) { connect }

# Four who come at once for two connections.
def threads(pool)
  all = (1..4).map do |id|
    Thread.new do
      pool.with { |c| c.exec_params("SELECT id, #{COLUMN} FROM users WHERE id = $1", [id]).values }
    end
  end
  say 'pooled', all.map(&:value)
end

def cancel_and_go_on(c, other)
  canceler = Thread.new do
    other.exec("SELECT wait_for_nap(#{NAPPER})")
    c.cancel
  end
  begin
    c.exec("UPDATE users SET #{COLUMN} = NULL, name = nap(#{NAPPER}) WHERE id = #{NAPPER}")
  rescue PG::QueryCanceled => error
    say 'canceled', error.result.error_field(PG::PG_DIAG_SQLSTATE)
  end
  canceler.join
  say 'after it', c.exec("SELECT #{COLUMN}, name FROM users WHERE id = #{NAPPER}").values
end

def copied_in(c, sql, lines)
  c.copy_data(sql) { lines.each { |line| c.put_copy_data("#{line}\n") } }
end

def copied_out(c, sql)
  lines = []
  c.copy_data(sql) do
    while (line = c.get_copy_data)
      lines << line
    end
  end
  lines
end

# Four inserts on their way before the first is answered.
def pipelined(c, number)
  c.enter_pipeline_mode
  4.times { |i| c.send_query_prepared('order', [BASE + 20 + i, i, total(100 * number + i)]) }
  c.pipeline_sync
  4.times do
    say 'pipelined', c.get_result.values
    c.get_result
  end
  c.get_result
  c.exit_pipeline_mode
end

def prepare(c)
  c.exec("LISTEN news_#{BASE}")
  c.prepare('by id', "SELECT id, #{COLUMN} FROM users WHERE id = $1")
  c.prepare('order', 'INSERT INTO orders VALUES ($1, $2, $3) RETURNING *')
end

def round(c, pool, number)
  at = BASE + number % 10
  changed = pool.with { |one| one.exec_prepared('change', [role("p#{number}", 'x'), at]) }
  say 'changed', changed.cmd_tuples
  [0, 1].each { |format| say 'role', c.exec_prepared('by id', [at], format).values }
  c.exec_params('UPDATE transactions SET amount = $1 WHERE id = $2', ["#{number}.25", at])
  paid = c.exec_params('SELECT * FROM transactions WHERE id = $1', [at])
  say 'amount', paid.values, paid.ftype(2), paid.fmod(2)
  pipelined(c, number)
  c.transaction do
    c.exec_params("UPDATE orders SET #{TOTAL} = #{TOTAL} + 1 WHERE id = $1", [at])
    c.exec('SAVEPOINT here')
    begin
      c.exec_params('INSERT INTO orders (id) VALUES ($1)', [at])
    rescue PG::UniqueViolation => error
      say 'unique', error.result.error_field(PG::PG_DIAG_SQLSTATE)
    end
    c.exec('ROLLBACK TO here')
  end
  copied_in(c, "COPY orders (id, #{TOTAL}) FROM STDIN", ["#{BASE + 30}\t#{number}", "#{BASE + 31}\t\\N"])
  say 'orders', copied_out(c, "COPY (SELECT * FROM orders WHERE id BETWEEN #{BASE} AND #{BASE + 99}" \
                              ' ORDER BY id) TO STDOUT')
  c.exec_params('DELETE FROM orders WHERE id BETWEEN $1 AND $2', [BASE + 20, BASE + 39])
  c.exec("NOTIFY news_#{BASE}, '#{number}'")
  c.wait_for_notify(30) { |_, _, payload| say 'heard', payload }
  pool.with { |other| cancel_and_go_on(c, other) }
end

def rounds
  c, reader = connect, connect
  prepare(c)
  pool = ConnectionPool.new(size: 1, timeout: 30) do
    connect.tap { |one| one.prepare('change', "UPDATE users SET #{COLUMN} = $1 WHERE id = $2") }
  end
  $stdin.each_line do |line|
    if reader.transaction_status == PG::PQTRANS_INTRANS
      say 'rest', reader.exec('FETCH ALL FROM chunks').values
      reader.exec('COMMIT')
    end
    unless line.to_i.zero?
      round(c, pool, line.to_i)
      reader.exec('BEGIN')
      reader.exec("DECLARE chunks CURSOR FOR SELECT id, #{COLUMN} FROM users" \
                  " WHERE id BETWEEN #{BASE} AND #{BASE + 9} ORDER BY id")
      say 'chunk', reader.exec('FETCH 3 FROM chunks').values
    end
    puts '.'
    $stdout.flush
  end
end

ARGV[0] == 'idioms' ? idioms : rounds
