# ActiveRecord: models, prepared statements and without them, a pool of threads, nested transactions,
# insert_all and upsert_all, batches, locks, and the connection underneath.
require 'active_record'

NEW = ENV['SHAPE'] == 'new'
COLUMN = NEW ? 'roles' : 'role'
TOTAL = NEW ? 'total' : 'total_cents'
BASE = ENV['BASE'].to_i
NAPPER = BASE.zero? ? 1 : BASE # whose row a statement sleeps in until it is canceled
def role(*names) = NEW ? names : names.join(',')
def total(cents) = NEW ? BigDecimal(cents) / 100 : cents
def say(what, *values) = puts([what, *values.map(&:inspect)].join(' '))

def connect(prepared)
  ActiveRecord::Base.establish_connection(
    adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], username: ENV['PGUSER'],
    database: ENV['PGDATABASE'], pool: 4, prepared_statements: prepared
  )
end

# Rails asks the catalog for a table's columns, and the catalog tells of both shapes' columns. So a model says
# which of them is not its own, and of which type one is that is in both, as for any migration by Rails.
class User < ActiveRecord::Base
  self.ignored_columns = [NEW ? 'role' : 'roles']
  has_many :orders, -> { order(:id) }
end

class Order < ActiveRecord::Base
  self.ignored_columns = [NEW ? 'total_cents' : 'total']
  belongs_to :user
end

class Transaction < ActiveRecord::Base
  self.ignored_columns = ['amount_new']
  attribute :amount, NEW ? :decimal : :string
end

def connection = ActiveRecord::Base.connection

def schema
  User.reset_column_information
  say 'columns', User.columns_hash.transform_values(&:sql_type)
end

def reading
  say 'all', User.order(:id).map(&:attributes)
  5.times { |i| say 'found', User.find_by(id: i + 1).public_send(COLUMN) }
  say 'by role', User.where(COLUMN => role('admin')).order(:id).pluck(:id, COLUMN)
  say 'in', User.where(COLUMN => [role('admin'), role('viewer')]).order(:id).ids unless NEW
  say 'joined', Order.joins(:user).order(:id).pluck(:id, TOTAL, "users.#{COLUMN}")
  say 'included', User.includes(:orders).order(:id).map { |u| [u.id, u.orders.map(&TOTAL.to_sym)] }
  say 'sum', Order.sum(TOTAL), Order.group(:user_id).order(:user_id).maximum(TOTAL)
  say 'grouped', User.group(COLUMN).order(COLUMN).count
end

def writing(first)
  user = User.create!(:id => first, :name => 'made', COLUMN => role('a', 'b'))
  user.update!(COLUMN => role('c'))
  say 'dirty', user.saved_changes.transform_keys(&:to_s)
  user.reload.update!(name: 'only this')
  say 'reloaded', user.reload.attributes
  User.insert_all!([1, 2, 3].map { |i| { :id => first + i, :name => "i#{i}", COLUMN => role('i', i.to_s) } })
  say 'upserted', User.upsert_all([{ :id => first + 1, :name => 'up', COLUMN => role('up') }],
                                  returning: [:id, COLUMN]).rows
  User.transaction do
    Order.where(id: 1).update_all(TOTAL => total(4200))
    User.transaction(requires_new: true) { User.create!(id: 1) }
  rescue ActiveRecord::RecordNotUnique => error
    say 'unique', error.cause.result.error_field(PG::PG_DIAG_SQLSTATE)
  end
  User.transaction { say 'locked', User.lock.find(2).attributes }
  User.in_batches(of: 2) { |batch| say 'batch', batch.ids }
  User.where(id: first..first + 3).delete_all
end

def threads
  done = 3.times.map do |i|
    Thread.new { ActiveRecord::Base.connection_pool.with_connection { User.find(i + 1).attributes } }
  end
  say 'threads', done.map(&:value)
end

# By the driver's connection beneath, while another of the pool watches.
def cancel_and_go_on
  napping = connection.raw_connection
  canceler = Thread.new do
    ActiveRecord::Base.connection_pool.with_connection { |c| c.execute("SELECT wait_for_nap(#{NAPPER})") }
    napping.cancel
  end
  begin
    User.where(id: NAPPER).update_all(["#{COLUMN} = NULL, name = nap(?)", NAPPER])
  rescue ActiveRecord::QueryCanceled => error
    say 'canceled', error.cause.result.error_field(PG::PG_DIAG_SQLSTATE)
  end
  canceler.join
  say 'after it', User.find(NAPPER).attributes
end

def underneath
  raw = connection.raw_connection
  lines = []
  raw.copy_data("COPY users (id, #{COLUMN}) TO STDOUT") do
    while (line = raw.get_copy_data)
      lines << line
    end
  end
  say 'copied', lines.sort
  two = ActiveRecord::Relation::QueryAttribute.new('id', 2, ActiveRecord::Type::Integer.new)
  say 'bound', connection.exec_query("SELECT id, #{COLUMN} FROM users WHERE id = $1", 'SQL', [two]).to_a
  connection.execute('LISTEN news')
  heard('news', 'hello')
end

def heard(channel, payload)
  connection.execute("NOTIFY #{channel}, '#{payload}'")
  connection.raw_connection.wait_for_notify(30) { |_, _, told| say 'heard', told }
end

def idioms
  [true, false].each_with_index do |prepared, i|
    connect(prepared)
    schema
    reading
    writing(900 + 10 * i)
    threads
    underneath
    cancel_and_go_on
    ActiveRecord::Base.remove_connection
  end
end

def round(number)
  at = BASE + number % 10
  User.find(at).update!(COLUMN => role("p#{number}", 'x'))
  say 'role', User.find_by(id: at).public_send(COLUMN)
  say 'with it', User.where(:id => BASE..BASE + 9, COLUMN => role("p#{number}", 'x')).ids
  Transaction.find(at).update!(amount: "#{number}.25")
  say 'amount', Transaction.find(at).attributes
  Order.insert_all!((0..3).map do |i|
    { :id => BASE + 20 + i, :user_id => at, TOTAL => total(100 * number + i) }
  end)
  Order.transaction do
    Order.where(id: at).update_all("#{TOTAL} = #{TOTAL} + 1")
    begin
      Order.transaction(requires_new: true) { Order.create!(id: at, user_id: at) }
    rescue ActiveRecord::RecordNotUnique => error
      say 'unique', error.cause.result.error_field(PG::PG_DIAG_SQLSTATE)
    end
  end
  connection.raw_connection.copy_data("COPY orders (id, #{TOTAL}) FROM STDIN") do
    connection.raw_connection.put_copy_data("#{BASE + 30}\t#{number}\n#{BASE + 31}\t\\N\n")
  end
  say 'orders', Order.where(id: BASE..BASE + 99).order(:id).map(&:attributes)
  Order.where(id: BASE + 20..BASE + 39).delete_all
  heard("news_#{BASE}", number)
  cancel_and_go_on
end

def rounds
  connect(true)
  reader = ActiveRecord::Base.connection_pool.checkout
  connection.execute("LISTEN news_#{BASE}")
  $stdin.each_line do |line|
    if reader.raw_connection.transaction_status == PG::PQTRANS_INTRANS
      say 'rest', reader.select_rows('FETCH ALL FROM chunks')
      reader.commit_db_transaction
    end
    unless line.to_i.zero?
      round(line.to_i)
      reader.begin_db_transaction
      reader.execute("DECLARE chunks CURSOR FOR SELECT id, #{COLUMN} FROM users" \
                     " WHERE id BETWEEN #{BASE} AND #{BASE + 9} ORDER BY id")
      say 'chunk', reader.select_rows('FETCH 3 FROM chunks')
    end
    puts '.'
    $stdout.flush
  end
end

ARGV[0] == 'idioms' ? idioms : rounds
