"""Prints the figures, and fails where one is out of its bounds: a part of `make check`."""

import sys

from tests.structure.figures import COMMAND, PACKAGE, figures


def main() -> int:
    within = True
    for package in (PACKAGE, COMMAND):
        print(package.name)
        for figure in figures(package):
            mark = "  " if figure.within else "✗ "
            print(f"{mark}{figure.what:<38} {figure.value}{f'   [{figure.bound}]' if figure.bound else ''}")
            within = within and figure.within
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
