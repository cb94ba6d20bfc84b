"""A small plot of what was left over some days, of block characters."""

from collections.abc import Iterator, Sequence

from voice_gateway_cli.terminal.output import day

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROWS = 5


def plot(readings: Sequence[tuple[float, float]], since: float, now: float, width: int) -> Iterator[str]:
    """Lines of text: ``readings`` are moments (epoch seconds) and values, oldest first; it begins at ``since``."""
    most = max(value for _, value in readings)
    label = len(f"{most:g}")
    columns = max(14, width - label - 3)
    heights = [_height(value, most) for value in _sampled(readings, since, now, columns)]
    for row in range(_ROWS - 1, -1, -1):
        edge = f"{most:g}" if row == _ROWS - 1 else "0" if row == 0 else ""
        cells = "".join(_BLOCKS[min(8, max(0, height - 8 * row))] for height in heights)
        yield f"{edge:>{label}} ┤{cells}".rstrip()
    begins, ends = day(since), day(now)
    yield f"{'':>{label}} └{begins}{ends:>{columns - len(begins)}}"


def _sampled(readings: Sequence[tuple[float, float]], since: float, now: float, columns: int) -> list[float | None]:
    """The value in each of the columns: the last that was known by then; None before the first."""
    values: list[float | None] = []
    at, known = 0, None
    for column in range(columns):
        end = since + (now - since) * (column + 1) / columns
        while at < len(readings) and readings[at][0] <= end:
            known = readings[at][1]
            at += 1
        values.append(known)
    return values


def _height(value: float | None, most: float) -> int:
    """In eighths of a row; what is little is still to be seen."""
    if value is None or most <= 0 or value <= 0:
        return 0
    return max(1, round(value / most * _ROWS * 8))
