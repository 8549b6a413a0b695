"""Django's ORM: querysets, F and Q, annotations, bulk_create, update_or_create, transactions; a connection
that is kept for each thread; and the driver's beneath it for COPY, LISTEN and cancel."""

import io
import itertools

import django
from django.conf import settings

from common import (BASE, COLUMN, DATABASE, HOST, NAPPER, ORDER_ROWS, PORT, SHAPE, TOTAL, USER, WAIT_FOR_NAP,
                    heard, role, run, say, total, when_napping)

SERVER = {"ENGINE": "django.db.backends.postgresql", "HOST": HOST, "PORT": PORT, "USER": USER, "NAME": DATABASE,
          "CONN_MAX_AGE": None}
settings.configure(
    DATABASES={"default": SERVER, "listener": SERVER},
    INSTALLED_APPS=["django.contrib.postgres"], USE_TZ=True)
django.setup()

from django.contrib.postgres.fields import ArrayField  # noqa: E402  (only after the set-up)
from django.db import IntegrityError, OperationalError, connection, connections, models, transaction  # noqa: E402


class User(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField(null=True)
    role = (models.TextField if SHAPE == "old" else lambda **k: ArrayField(models.TextField(), **k))(
        null=True, db_column=COLUMN)

    class Meta:
        app_label, db_table = "shop", "users"


class Order(models.Model):
    id = models.IntegerField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    total = (models.BigIntegerField if SHAPE == "old" else
             lambda **k: models.DecimalField(max_digits=12, decimal_places=2, **k))(
                 null=True, db_column=TOTAL)

    class Meta:
        app_label, db_table = "shop", "orders"


def listen(channel):
    with connections["listener"].cursor() as cursor:
        cursor.execute(f"LISTEN {channel}")


def notify(channel, payload):
    """As the transaction commits the other connection hears of it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])
    say("heard", heard(connections["listener"].connection))


def copy(lines, rows):
    """In and out, by the driver's cursor beneath Django's."""
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY orders (id, {TOTAL}) FROM STDIN", io.StringIO(lines))
        out = io.StringIO()
        cursor.copy_expert(f"COPY ({rows}) TO STDOUT", out)
        say("copied", out.getvalue())


def idioms():
    say("all", list(User.objects.order_by("id").values_list()))
    User.objects.bulk_create([User(id=120 + i, name=f"d{i}", role=role("d", str(i))) for i in range(10)])
    user = User.objects.get(pk=120)
    user.role = role("saved")
    user.save()
    say("saved", User.objects.get(pk=120).role)
    say("or created", User.objects.update_or_create(id=121, defaults={"role": role("x", "y")})[1])
    say("filtered", list(User.objects.filter(role=role("saved")).values_list("id", flat=True)))
    say("excluded", User.objects.exclude(role=role("saved")).count())
    say("annotated", list(User.objects.values("role").annotate(n=models.Count("id")).order_by("role", "n")))
    say("joined", list(Order.objects.select_related("user").order_by("id").values_list("id", "total", "user__role")))
    Order.objects.filter(total__isnull=False).update(total=models.F("total") + total(100))
    say("sums", Order.objects.aggregate(models.Sum("total"), models.Max("total")))
    try:
        with transaction.atomic():
            User.objects.filter(pk=1).update(role=role("undone"))
            User.objects.create(id=1)
    except IntegrityError as error:
        say("unique", error.__cause__.pgcode)
    say("ordered", list(User.objects.order_by("-role", "id").values_list("id", flat=True)))
    with transaction.atomic():
        say("iterated", [u.role for u in User.objects.order_by("id").iterator(chunk_size=3)])
        say("locked", User.objects.select_for_update().get(pk=2).role)
    User.objects.filter(pk__gte=120).delete()
    copy("110\t5\n111\t\\N\n", f"SELECT id, {TOTAL} FROM orders ORDER BY id")
    listen("news")
    notify("news", "hello")
    cancel_and_go_on()


def cancel_and_go_on():
    """By the driver's connection beneath; every thread has one of its own."""
    def wait():
        with connection.cursor() as cursor:
            cursor.execute(WAIT_FOR_NAP)
        connection.close()

    me = User.objects.filter(pk=NAPPER)
    canceler = when_napping(wait, connection.connection.cancel)
    try:
        me.update(role=None, name=models.Func(models.Value(NAPPER), function="nap"))
    except OperationalError as error:
        say("canceled", error.__cause__.pgcode)
    canceler.join()
    say("after it", list(me.values_list("role", "name")))


def rounds():
    mine = User.objects.filter(pk__range=(BASE, BASE + 9)).order_by("pk")
    chunks = []
    listen(f"news_{BASE}")

    def one_round(number):
        if chunks:
            say("rest", [(u.id, u.role) for u in chunks.pop()])
        if number == 0:
            return
        at = BASE + number % 10
        user = User.objects.get(pk=at)
        user.role = role(f"p{number}", "x")
        user.save()
        Order.objects.bulk_create([Order(id=BASE + 20 + i, user_id=at, total=total(100 * number + i))
                                   for i in range(4)])
        with transaction.atomic():
            Order.objects.filter(pk=at).update(total=models.F("total") + total(100))
            try:
                with transaction.atomic():
                    Order.objects.create(id=at, total=total(1), user_id=at)
            except IntegrityError as error:
                say("unique", error.__cause__.pgcode)
        say("users", list(mine.values_list("id", "role")))
        say("orders", list(Order.objects.filter(pk__range=(BASE, BASE + 99)).order_by("id").values_list()))
        say("found", list(mine.filter(role=role(f"p{number}", "x")).values_list("id", flat=True)))
        copy(f"{BASE + 30}\t{number}\n{BASE + 31}\t\\N\n", f"SELECT * {ORDER_ROWS}")
        Order.objects.filter(pk__range=(BASE + 20, BASE + 39)).delete()
        notify(f"news_{BASE}", str(number))
        cancel_and_go_on()
        with transaction.atomic():
            say("iterated", [u.role for u in mine.iterator(chunk_size=3)])
        chunks.append(mine.iterator(chunk_size=3))  # without a transaction: WITH HOLD
        say("chunk", [(u.id, u.role) for u in itertools.islice(chunks[0], 3)])

    return one_round


run(idioms, rounds)
