"""Does measuring pay? The loop in many made-up books, by the size of the book and by what management assumes.

    python benchmarks/loop.py                              # some quarter of an hour of one core
    python benchmarks/loop.py --sizes 1 --universes 4      # a minute

Books, means and limits are those of the sample `demo`, or in proportion. Prints the table of `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import time

from clv.abm.loop.study import Situation, study_loop
from clv.data.settings import Tier

#: cost, hours and assumptions of the sample `demo`, a year.
TIERS = [
    Tier(name="1:1", cost=4000, hours=60, uplift=0.35, at_most=8),
    Tier(name="1:few", cost=800, hours=20, uplift=0.15),
    Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
]
ACCOUNTS, BUDGET, HOURS = 600, 40_000.0, 720.0
#: what management assumes, and the times of the means that it has.
SITUATIONS = {
    "effects as assumed": (1.0, 1.0, 0.0),
    "assumed 2.5 times too low": (0.4, 1.0, 0.0),
    "assumed 2.5 times too high, money for all": (2.5, 4.0, 0.0),
    "each tier's effect assumed wrong by a factor, log-sd 0.7": (1.0, 1.0, 0.7),
    "1:1 and 1:few assumed the wrong way round": ((0.15 / 0.35, 0.35 / 0.15, 1.0), 1.0, 0.0),
}


def main() -> None:
    """Print a line for each size of book and situation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5, 10], help=f"times {ACCOUNTS} accounts")
    parser.add_argument("--universes", type=int, nargs="+", default=[24, 8, 4], help="books of each size")
    parser.add_argument("--seed", type=int, default=0, help="books are those of the seeds after it")
    asked = parser.parse_args()
    print("accounts | books | situation | told | measured, first to last quarter | fixed, first to last quarter"
          " | rank and cut | measured - fixed | error of one quarter's largest lots | processor s a book")  # fmt: skip
    for k, size in enumerate(asked.sizes):
        books = asked.universes[min(k, len(asked.universes) - 1)]
        for name, (times, money, error) in SITUATIONS.items():
            start = time.process_time()
            found = study_loop(
                TIERS, budget=BUDGET, hours=HOURS, universes=books, accounts=ACCOUNTS, seed=asked.seed,
                situations={name: Situation(times, money, error, size)},
            )  # fmt: skip
            each = (time.process_time() - start) / books
            by = {row.policy: row for row in found.table.itertuples()}
            ours, fixed = by["measured"], by["fixed"]
            print(
                f"{ACCOUNTS * size:,} | {books} | {name} | {by['told'].share:.3f}"
                f" | {ours.share:.3f}, {ours.first:.3f} to {ours.last:.3f}"
                f" | {fixed.share:.3f}, {fixed.first:.3f} to {fixed.last:.3f}"
                f" | {by['rank and cut'].share:.3f}"
                f" | {-fixed.behind:+.3f} ± {fixed.behind_se:.3f}, more in {fixed.worse}"
                f" | {found.reach[name]:.2f} | {each:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
