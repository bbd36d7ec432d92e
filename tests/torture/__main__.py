"""`python -m torture`: all harnesses, a table of what they counted, and exit code 1 when anything is not as promised."""

from __future__ import annotations

import sys

from torture import fuzz, report

tallies = fuzz.run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",") if len(sys.argv) > 3 else fuzz.GROUPS)
print(report.table(tallies))
for t in tallies:
    for line in t.faults[:400]:
        print(line)
