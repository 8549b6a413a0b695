"""
Where a generator's decisions come from, and how a failure is shrunk.

Whatever is generated is a function of the numbers drawn. So shrinking needs to know nothing of SQL: it
makes the list of numbers shorter and the numbers smaller, generates again, and keeps what still fails.
The rule for grammars: choice 0 is the simplest, and a list that has run out gives 0.
"""

import random


class Choices:
    def __init__(self, seed=None, replay=None):
        self.random = random.Random(seed)
        self.replay = replay
        self.drawn = []
        self.spans = []  # [begin, end) of what one rule of the grammar drew

    def below(self, count):
        """A number in [0, count)."""
        if self.replay is None:
            value = self.random.randrange(count)
        else:
            at = len(self.drawn)
            value = min(self.replay[at], count - 1) if at < len(self.replay) else 0
        self.drawn.append(value)
        return value

    def pick(self, items):
        return items[self.below(len(items))]

    def chance(self, percent):
        return self.below(100) >= 100 - percent

    def span(self, rule, *arguments):
        """What `rule(*arguments)` gives; its draws may be taken out together."""
        begin = len(self.drawn)
        result = rule(*arguments)
        self.spans.append((begin, len(self.drawn)))
        return result


def shrink(choices, fails, attempts=400):
    """
    The smallest list of numbers found for which `fails(Choices)` is still true. `choices` failed;
    `fails` must generate from what it is given.
    """
    best = choices
    left = attempts

    def better(candidate):
        nonlocal best, left
        if left <= 0 or candidate == best.drawn:
            return False
        left -= 1
        tried = Choices(replay=candidate)
        if not fails(tried):
            return False
        if (len(tried.drawn), tried.drawn) >= (len(best.drawn), best.drawn):
            return False
        best = tried
        return True

    improved = True
    while improved and left > 0:
        improved = shrink_spans(lambda: best, better)
        improved |= shrink_runs(lambda: best, better)
        improved |= shrink_numbers(lambda: best, better)
    return best


def shrink_spans(best, better):
    """Takes out what whole rules drew, the longest first; or makes all of it the simplest."""
    improved, at = False, 0
    while True:
        spans = sorted(set(best().spans), key=lambda span: span[0] - span[1])
        if at >= len(spans):
            return improved
        begin, end = spans[at]
        drawn = best().drawn
        if better(drawn[:begin] + drawn[end:]) or better(drawn[:begin] + [0] + drawn[end:]) or (
                better(drawn[:begin] + [0] * (end - begin) + drawn[end:])):
            improved = True
        else:
            at += 1


def shrink_runs(best, better):
    improved = False
    for length in (8, 4, 2, 1):
        at = 0
        while at < len(best().drawn):
            drawn = best().drawn
            if better(drawn[:at] + drawn[at + length:]):
                improved = True
            else:
                at += 1
    return improved


def shrink_numbers(best, better):
    improved, at = False, 0
    while at < len(best().drawn):
        drawn = best().drawn
        value = drawn[at]
        for smaller in dict.fromkeys((0, value // 2, value - 1)):
            if 0 <= smaller < value and better(drawn[:at] + [smaller] + drawn[at + 1:]):
                improved = True
                break
        at += 1
    return improved
