"""The poll schedule of DMClient/Provider/<id>/Poll (W 6)."""

SETS = (
    ("NumberOfFirstRetries", "IntervalForFirstSetOfRetries", 10, 15),
    ("NumberOfSecondRetries", "IntervalForSecondSetOfRetries", 0, 0),
    ("NumberOfRemainingScheduledRetries", "IntervalForRemainingScheduledRetries", 0, 0),
)
DAY = 24 * 60
DEFAULTS = {name: value for number, interval, n, i in SETS for name, value in ((number, n), (interval, i))}


def minutes_until(poll: dict, done: int) -> int:
    """Minutes from one scheduled session to the next after `done` sessions of this schedule.

    An interval of 0 switches a set off; a number of 0 with an interval lasts for ever and switches later sets
    off; when no set lasts for ever the device makes one of 24 hours.
    """
    for number_name, interval_name, number, interval in SETS:
        number = _whole(poll.get(number_name), number)
        interval = _whole(poll.get(interval_name), interval)
        if interval == 0:
            continue
        if number == 0 or done < number:
            return interval
        done -= number
    return DAY


def _whole(value, default: int) -> int:
    return int(value) if str(value).isdigit() else default
