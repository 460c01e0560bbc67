"""The eleven segments of RFM: which of the 125 codes belongs to which (rule C1), and their places in life (rule C2)."""

from __future__ import annotations

from typing import Final

#: segment -> its codes, three digits: R, F, M; 5 is best. In the customary order, from best to lost. The grouping is
#: the one in common use among vendors of marketing software; it is a convention, not a finding.
_CODES: Final[dict[str, str]] = {
    "Champions": "555 554 544 545 454 455 445",
    "Loyal": "543 444 435 355 354 345 344 335",
    "Potential Loyalist": (
        "553 551 552 541 542 533 532 531 452 451 442 441 431 453 433 432 423 353 352 351 342 341 333 323"
    ),
    "New": "512 511 422 421 412 411 311",
    "Promising": "525 524 523 522 521 515 514 513 425 424 413 414 415 315 314 313",
    "Need Attention": "535 534 443 434 343 334 325 324",
    "About To Sleep": "331 321 312 221 213 231 241 251",
    "At Risk": "255 254 245 244 253 252 243 242 235 234 225 224 153 152 145 143 142 135 134 133 125 124",
    "Cannot Lose": "155 154 144 214 215 115 114 113",
    "Hibernating": "332 322 233 232 223 222 132 123 122 212 211",
    "Lost": "111 112 121 131 141 151",
}

#: segment -> codes.
SEGMENT_CODES: Final[dict[str, tuple[str, ...]]] = {name: tuple(codes.split()) for name, codes in _CODES.items()}

#: the eleven segments of accounts that bought.
SEGMENTS: Final[tuple[str, ...]] = tuple(SEGMENT_CODES)

#: the three segments of accounts that never bought (see `clv.churn.non_buyers`).
NON_BUYERS: Final[tuple[str, ...]] = ("Visitor", "Identified Non-buyer", "Abandoned Enquiry")

#: stage of life -> its segments: five stages, fourteen segments. The source of this scheme survives without its
#: figure: the assignment of segments to stages is our reconstruction.
LIFE_STAGES: Final[dict[str, tuple[str, ...]]] = {
    "acquisition": NON_BUYERS,
    "activation": ("New", "Promising"),
    "growth": ("Potential Loyalist", "Need Attention"),
    "loyalty": ("Champions", "Loyal"),
    "reactivation": ("About To Sleep", "At Risk", "Cannot Lose", "Hibernating", "Lost"),
}
