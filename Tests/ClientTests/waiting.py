"""The one way to wait for something: look until it is so, or until a deadline."""

import time


def wait_for(condition, what, seconds=20):
    """Gives the first true answer of `condition`; fails with its last answer after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds} s for {what}; last answer: {answer!r}"
        time.sleep(0.02)


def wait_until_equal(value, expected, what, seconds=20):
    """Waits until `value()` equals `expected`, and shows the difference when it never does."""
    end = time.monotonic() + seconds
    while True:
        now = value()
        if now == expected:
            return
        if time.monotonic() >= end:
            raise AssertionError(f"{what}: {now!r}, wanted {expected!r}")
        time.sleep(0.02)
