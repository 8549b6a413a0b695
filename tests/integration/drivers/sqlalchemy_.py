"""SQLAlchemy: a mapped class per shape, flushes, bulk inserts, lazy joins, upserts."""

from sqlalchemy import Column, ForeignKey, BigInteger, Integer, Numeric, Text, create_engine, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session, declarative_base, relationship

from common import COLUMN, DATABASE, HOST, PORT, SHAPE, TOTAL, USER, role, say, total

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


engine = create_engine(f"postgresql+psycopg2://{USER}@{HOST}:{PORT}/{DATABASE}")
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
