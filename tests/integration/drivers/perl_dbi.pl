# Perl DBD::Pg: server-side preparation, placeholders, transactions, COPY, cursors.
use strict;
use warnings;
use DBI;
use Data::Dumper;

$Data::Dumper::Indent = 0;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Terse = 1;
sub say_it { my $what = shift; print join(' ', $what, map { Dumper($_) } @_), "\n"; }

my $new = $ENV{SHAPE} eq 'new';
my $column = $new ? 'roles' : 'role';
sub role { $new ? [@_] : join(',', @_) }

my $dbh = DBI->connect("dbi:Pg:", $ENV{PGUSER}, '', {RaiseError => 1, PrintError => 0, AutoCommit => 1});
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
$dbh->disconnect;
