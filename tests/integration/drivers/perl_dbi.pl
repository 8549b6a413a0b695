# Perl DBD::Pg: server-side preparation, placeholders, transactions, COPY, cursors, LISTEN, cancel,
# and what is kept: connect_cached, prepare_cached.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async);
use Data::Dumper;

$Data::Dumper::Indent = 0;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Terse = 1;
sub say_it { my $what = shift; print join(' ', $what, map { Dumper($_) } @_), "\n"; }

my $new = $ENV{SHAPE} eq 'new';
my $column = $new ? 'roles' : 'role';
sub role { $new ? [@_] : join(',', @_) }
my $total = $new ? 'total' : 'total_cents';
my $base = $ENV{BASE} // 0;
sub total { $new ? sprintf('%.2f', $_[0] / 100) : $_[0] }
my @server = ("dbi:Pg:", $ENV{PGUSER}, $ENV{PGPASSWORD} // '',    # libpq finds where in the environment
    {RaiseError => 1, PrintError => 0, AutoCommit => 1});
sub connect_it { return DBI->connect(@server); }
sub cached { return DBI->connect_cached(@server); }    # the one of before, if it still answers

sub idioms {
    my $dbh = connect_it();
    say_it('star', $dbh->selectall_arrayref('SELECT * FROM users ORDER BY id'));
    my $select = $dbh->prepare("SELECT id, $column FROM users WHERE id = ?");
    for my $id (1 .. 5) {
        $select->execute($id);
        say_it('prepared', $select->fetchall_arrayref);
    }
    say_it('types', $select->{NAME}, $select->{pg_type});
    my $update = $dbh->prepare("UPDATE users SET $column = ? WHERE id = ?");
    $dbh->begin_work;
    say_it('updated', $update->execute(role('perl', $_), $_)) for 1 .. 3;
    $dbh->commit;
    $dbh->begin_work;
    eval { $update->execute(role('undone'), 1); $dbh->do('INSERT INTO users (id) VALUES (1)'); };
    say_it('unique', $dbh->state);
    $dbh->rollback;
    say_it('after', $dbh->selectall_arrayref("SELECT id, $column FROM users ORDER BY id"));
    $dbh->do("COPY users TO STDOUT");
    my ($line, @lines) = ('');
    push @lines, $line while $dbh->pg_getcopydata($line) >= 0;
    say_it('copy', [sort @lines]);
    $dbh->begin_work;
    $dbh->do("DECLARE chunks CURSOR FOR SELECT id, $column FROM users ORDER BY id");
    say_it('fetched', $dbh->selectall_arrayref('FETCH 2 FROM chunks')) for 1 .. 3;
    $dbh->commit;
    for my $prepare (0, 1) {    # by the driver, on the server
        my $found = $dbh->prepare("SELECT id FROM users WHERE $column = ?", {pg_server_prepare => $prepare});
        $found->execute(role('perl', $_)) and say_it('found', $found->fetchall_arrayref) for 1 .. 3;
    }
    $dbh->do("COPY users (id, name, $column) FROM STDIN");
    $dbh->pg_putcopydata("160\tcopied\t" . ($new ? '{x,y}' : 'x,y') . "\n");
    $dbh->pg_putcopyend;
    say_it('returned', $dbh->selectall_arrayref("DELETE FROM users WHERE id = 160 RETURNING *"));
    $dbh->do('LISTEN news');
    $dbh->do("NOTIFY news, 'hello'");
    my ($channel, undef, $payload) = @{$dbh->pg_notifies};
    say_it('heard', $channel, $payload);
    cached()->do("SET application_name = 'kept'");
    for my $id (1 .. 3) {
        my $kept = cached()->prepare_cached("SELECT id, $column, current_setting('application_name')"
            . ' FROM users WHERE id = ?');
        $kept->execute($id);
        say_it('kept', $kept->fetchall_arrayref);
    }
    cancel_and_go_on($dbh, cached());
    $_->disconnect for $dbh, cached();
}

sub cancel_and_go_on {
    my ($dbh, $other) = @_;
    my $id = $base || 1;
    my $nap = $dbh->prepare("UPDATE users SET $column = NULL, name = nap($id) WHERE id = $id",
        {pg_async => PG_ASYNC});
    $nap->execute;
    $other->do("SELECT wait_for_nap($id)");
    say_it('canceled', $dbh->pg_cancel, $dbh->state);
    say_it('after it', $dbh->selectall_arrayref("SELECT $column, name FROM users WHERE id = ?", undef, $id));
}

sub one_round {
    my ($dbh, $by_id, $number) = @_;
    my $at = $base + $number % 10;
    my $change = cached()->prepare_cached("UPDATE users SET $column = ? WHERE id = ?", {pg_prepare_now => 1});
    say_it('changed', $change->execute(role("p$number", 'x'), $at));
    $by_id->execute($at);
    say_it('role', $by_id->fetchall_arrayref, $by_id->{pg_type});
    $dbh->do('UPDATE transactions SET amount = ? WHERE id = ?', undef, "$number.25", $at);
    say_it('amount', $dbh->selectall_arrayref('SELECT * FROM transactions WHERE id = ?', undef, $at));
    my $order = $dbh->prepare('INSERT INTO orders VALUES (?, ?, ?)');
    $order->bind_param_array(1, [map { $base + 20 + $_ } 0 .. 3]);
    $order->bind_param_array(2, [0 .. 3]);
    $order->bind_param_array(3, [map { total(100 * $number + $_) } 0 .. 3]);
    say_it('many', $order->execute_array({}));
    $dbh->begin_work;
    $dbh->do("UPDATE orders SET $total = $total + 1 WHERE id = ?", undef, $at);
    $dbh->pg_savepoint('here');
    eval { $dbh->do('INSERT INTO orders (id) VALUES (?)', undef, $at) };
    say_it('unique', $dbh->state);
    $dbh->pg_rollback_to('here');
    $dbh->commit;
    $dbh->do("COPY orders (id, $total) FROM STDIN");
    $dbh->pg_putcopydata(($base + 30) . "\t$number\n" . ($base + 31) . "\t\\N\n");
    $dbh->pg_putcopyend;
    my $last = $base + 99;
    $dbh->do("COPY (SELECT * FROM orders WHERE id BETWEEN $base AND $last ORDER BY id) TO STDOUT");
    my ($line, @lines) = ('');
    push @lines, $line while $dbh->pg_getcopydata($line) >= 0;
    say_it('orders', \@lines);
    $dbh->do('DELETE FROM orders WHERE id BETWEEN ? AND ?', undef, $base + 20, $base + 39);
    $dbh->do("NOTIFY news_$base, '$number'");
    say_it('heard', $dbh->pg_notifies->[2]);
    cancel_and_go_on($dbh, cached());
}

sub rounds {
    my ($dbh, $reader) = (connect_it(), connect_it());
    my $last = $base + 9;
    my $chunks = "DECLARE chunks CURSOR FOR SELECT id, $column FROM users"
        . " WHERE id BETWEEN $base AND $last ORDER BY id";
    $dbh->do("LISTEN news_$base");
    my $by_id = $dbh->prepare("SELECT id, $column FROM users WHERE id = ?", {pg_prepare_now => 1});
    my $open = 0;
    while (my $number = <STDIN>) {
        chomp $number;
        if ($open) {
            say_it('rest', $reader->selectall_arrayref('FETCH ALL FROM chunks'));
            $reader->commit;
        }
        $open = $number != 0;
        if ($open) {
            one_round($dbh, $by_id, $number);
            $reader->begin_work;
            $reader->do($chunks);
            say_it('chunk', $reader->selectall_arrayref('FETCH 3 FROM chunks'));
        }
        print ".\n";
    }
}

$| = 1;
$ARGV[0] eq 'idioms' ? idioms() : rounds();
