"""SQLAlchemy: a mapped class per shape, flushes, bulk inserts, lazy joins, upserts; its pool; and beneath
it the driver's connection for COPY, LISTEN and cancel."""

import io

from sqlalchemy import (BigInteger, Column, ForeignKey, Integer, Numeric, Text, create_engine, delete, func, select,
                        text, update)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session, declarative_base, relationship

from common import (BASE, COLUMN, DATABASE, HOST, NAPPER, ORDER_ROWS, PORT, SHAPE, TOTAL, USER, WAIT_FOR_NAP, heard, role,
                    run, say, total, when_napping)

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    name = Column(Text)
    role = Column(COLUMN, Text if SHAPE == "old" else ARRAY(Text))
    orders = relationship("Order", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"))
    total = Column(TOTAL, BigInteger if SHAPE == "old" else Numeric(12, 2))


engine = create_engine(f"postgresql+psycopg2://{USER}@{HOST}:{PORT}/{DATABASE}", future=True)


class Listener:
    """A connection of the pool that is kept to listen."""

    def __init__(self, channel):
        self.channel = channel
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.connection.execute(text(f"LISTEN {channel}"))

    def hear(self, session, payload):
        """What another session tells as it commits."""
        session.execute(select(func.pg_notify(self.channel, payload)))
        session.commit()
        say("heard", heard(self.connection.connection.dbapi_connection))


def copy(session, lines, rows):
    """In and out, by the driver's connection in the session's transaction."""
    with session.connection().connection.dbapi_connection.cursor() as cursor:
        cursor.copy_expert(f"COPY orders (id, {TOTAL}) FROM STDIN", io.StringIO(lines))
        out = io.StringIO()
        cursor.copy_expert(f"COPY ({rows}) TO STDOUT", out)
        say("copied", out.getvalue())


def idioms():
    with Session(engine) as session:
        say("all", [(u.id, u.name, u.role, [o.total for o in u.orders])
                    for u in session.scalars(select(User).order_by(User.id))])
        session.add_all(User(id=100 + i, name=f"s{i}", role=role("s", str(i))) for i in range(12))
        session.flush()
        one = session.get(User, 100)
        one.role = role("changed")
        one.orders.append(Order(id=100, total=total(999)))
        session.commit()
        say("refreshed", one.role, [o.total for o in one.orders])
        say("grouped", session.execute(
            select(User.role, func.count()).group_by(User.role).order_by(User.role)).all())
        say("filtered", session.scalars(
            select(User.id).where(User.role.in_([role("changed"), role("viewer")])).order_by(User.id)).all())
        upsert = insert(User.__table__).values({"id": 100, "name": "upsert", COLUMN: role("up")})
        session.execute(upsert.on_conflict_do_update(
            index_elements=["id"], set_={COLUMN: upsert.excluded[COLUMN], "name": upsert.excluded.name}))
        session.commit()
        say("upserted", session.execute(select(User.name, User.role).where(User.id == 100)).all())
        session.delete(session.get(Order, 100))
        session.rollback()
        say("subquery", session.execute(
            select(User.id, select(func.sum(Order.total)).where(Order.user_id == User.id).scalar_subquery())
            .where(User.id < 10).order_by(User.id)).all())
        chunks = session.execute(select(User.id, User.role).order_by(User.id), execution_options={"yield_per": 4})
        say("partitions", list(chunks.partitions()))
        copy(session, "110\t5\n111\t\\N\n", f"SELECT id, {TOTAL} FROM orders ORDER BY id")
        session.rollback()
        Listener("news").hear(session, "hello")
        cancel_and_go_on(session)


def cancel_and_go_on(session):
    """By the driver's connection beneath, while another of the pool watches."""
    def wait():
        with engine.connect() as other:
            other.execute(text(WAIT_FOR_NAP))

    canceler = when_napping(wait, session.connection().connection.dbapi_connection.cancel)
    try:
        session.execute(update(User).where(User.id == NAPPER).values(role=None, name=func.nap(NAPPER)),
                        execution_options={"synchronize_session": False})
    except OperationalError as error:
        say("canceled", error.orig.pgcode)
    canceler.join()
    session.rollback()
    say("after it", session.execute(select(User.role, User.name).where(User.id == NAPPER)).all())


def rounds():
    reader, listener, chunks = engine.connect(), Listener(f"news_{BASE}"), []

    def one_round(number):
        if chunks:
            say("rest", chunks.pop().fetchall())
            reader.commit()
        if number == 0:
            return
        at = BASE + number % 10
        with Session(engine) as session:
            session.get(User, at).role = role(f"p{number}", "x")
            session.add_all(Order(id=BASE + 20 + i, user_id=BASE, total=total(100 * number + i))
                            for i in range(4))
            session.commit()
            try:
                with session.begin_nested():
                    session.execute(insert(Order.__table__).values({"id": at, TOTAL: total(1)}))
            except IntegrityError as error:
                say("unique", error.orig.pgcode)
            session.get(Order, at).total += total(100)
            session.commit()
            rows = session.scalars(select(User).where(User.id.between(BASE, BASE + 9)).order_by(User.id))
            say("users", [(u.id, u.role, [(o.id, o.total) for o in u.orders]) for u in rows])
            copy(session, f"{BASE + 30}\t{number}\n{BASE + 31}\t\\N\n", f"SELECT * {ORDER_ROWS}")
            session.commit()
            session.execute(delete(Order).where(Order.id.between(BASE + 20, BASE + 39)),
                            execution_options={"synchronize_session": False})
            listener.hear(session, str(number))
            cancel_and_go_on(session)
        chunks.append(reader.execution_options(stream_results=True, max_row_buffer=2).execute(
            select(User.id, User.role).where(User.id.between(BASE, BASE + 9)).order_by(User.id)))
        say("chunk", chunks[0].fetchmany(3))

    return one_round


run(idioms, rounds)
