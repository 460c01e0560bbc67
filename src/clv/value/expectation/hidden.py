"""Hidden states of accounts, drawn from all that a model reads of them: history, covariates, or contracts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from clv.value.estimation.checks import Floats, purchase_history


def hidden_states(
    model: Any, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, Floats, Floats]:
    """Draw each account's hidden state: alive, and two numbers whose meaning is the model's own.

    Parameters
    ----------
    model : fitted purchase model
        With `draw_latent` (history only) or `draw_account_latent` (all columns of the summary).
    parameters : ndarray, shape (draws, k)
    summary : pandas.DataFrame
    rng : numpy.random.Generator

    Returns
    -------
    alive : ndarray of bool, shape (accounts, draws)
    first, second : ndarray, shape (accounts, draws)
        Purchase rate and hazard, where the model is in continuous time.
    """
    if hasattr(model, "draw_account_latent"):
        return model.draw_account_latent(parameters, summary, rng)
    return model.draw_latent(parameters, purchase_history(summary), rng)
