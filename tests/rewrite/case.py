"""
What a case is: statements that must do the same on a plain table and, rewritten, on one in transition.

A file cases_<subject>.py holds CASES, a dict from World to a list. An item is

    "SELECT {role} FROM users"                          one statement
    ("SELECT .. WHERE {role} = $1", ["{param}"])        one with parameters: text, spelled, or None
    Case("BEGIN-less statement", ("another", [..]), ..) several, in one transaction, and what else
                                                        there is to say of them

`{word}` is spelled as a client of each shape would write it (World.words); other braces stay.
"""


class Case:
    """
    only      "old" or "new": a statement that only clients of this shape write
    ordered   do rows come in a certain order? By default where the statement's own level has an ORDER
              BY. Otherwise rows are compared as a bag
    refused   a piece of the message of the 0A000 that this is refused with, today, on purpose (the README
              must tell). `refused_in`: the states in which it is, where not in all
    keeps     the other shape's contents must stay just as they are (lossy transitions)
    trap      the number of the trap of REWRITE.md that it is about
    copy      what the client sends when it is asked for COPY data: bytes, a list of them where it is
              asked several times, or {shape: ..}. Not b"" where it is asked: [b""]
    guards    the settings of the guard to run under
    states    the states to run in, where not in all
    origins   False: which table's columns results come from is not compared (that of EXECUTE and FETCH is
              the session's to tell)
    contents  False: what the tables hold afterwards is not compared (a column was added, say)
    modes     of "simple", "text", "binary"; a statement with parameters never goes by "simple"
    commits   True: not in a transaction that is rolled back; the world is `restorable`
    declares  OIDs of types that the client itself declares its parameters as
    goes_on   True: after an error, too, for a savepoint to be rolled back to
    """

    def __init__(self, *steps, only=None, ordered=None, refused=None, refused_in=None, keeps=False,
                 trap=None, copy=b"", guards=("off", "reject"), states=None,
                 modes=("simple", "text", "binary"), contents=True, origins=True, commits=False,
                 goes_on=False, declares=()):
        self.steps = [(step, []) if isinstance(step, str) else tuple(step) for step in steps]
        self.only = only
        self.ordered = ordered
        self.refused = refused
        self.refused_in = refused_in
        self.keeps = keeps
        self.trap = trap
        self.copy = copy
        self.guards = guards
        self.states = states
        self.contents = contents
        self.origins = origins
        self.commits = commits
        self.goes_on = goes_on
        self.declares = declares
        self.modes = [m for m in modes if m != "simple" or not any(p for _, p in self.steps)]

    def __str__(self):
        text = "; ".join(sql for sql, _ in self.steps)
        return f"trap {self.trap}: {text}" if self.trap else text

    def is_refused_in(self, state):
        return self.refused and (self.refused_in is None or state in self.refused_in)

    def copy_of(self, shape):
        return self.copy[shape] if isinstance(self.copy, dict) else self.copy


def case_of(item):
    if isinstance(item, Case):
        return item
    return Case(item)


def spell(text, words):
    # str.format would stumble over the braces of arrays
    if text is not None:
        for word, spelled in words.items():
            text = text.replace("{" + word + "}", spelled)
    return text


def is_ordered(sql):
    """Has the statement an ORDER BY of its own, not one of a sub-select, aggregate or window?"""
    depth, upper = 0, sql.upper()
    for at, character in enumerate(upper):
        depth += (character == "(") - (character == ")")
        if depth == 0 and upper.startswith("ORDER BY", at):
            return True
    return False
