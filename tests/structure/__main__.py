"""Prints the figures, and fails where one is out of its bounds: a part of `make check`."""

import sys

from tests.structure.figures import figures


def main() -> int:
    found = list(figures())
    for figure in found:
        mark = "  " if figure.within else "✗ "
        print(f"{mark}{figure.what:<38} {figure.value}{f'   [{figure.bound}]' if figure.bound else ''}")
    return 0 if all(figure.within for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
