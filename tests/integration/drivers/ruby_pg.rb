# Ruby pg: exec_params, prepared statements, transactions, COPY, single-row mode, LISTEN.
require 'pg'

NEW = ENV['SHAPE'] == 'new'
COLUMN = NEW ? 'roles' : 'role'
def role(*names) = NEW ? PG::TextEncoder::Array.new.encode(names) : names.join(',')
def say(what, *values) = puts([what, *values.map(&:inspect)].join(' '))

c = PG.connect(host: ENV['PGHOST'], port: ENV['PGPORT'], user: ENV['PGUSER'], dbname: ENV['PGDATABASE'])
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
c.wait_for_notify(10) { |channel, _, payload| say 'notified', channel, payload }
c.finish
