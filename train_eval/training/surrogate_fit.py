"""The regression behind the surrogate, fitted once for each set of results and then kept."""

import contextlib
import hashlib
import pickle
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    VotingRegressor,
)
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from gym_cnnarch import __version__
from gym_cnnarch.files import replace_file
from train_eval.data.cache import cache_root

FOLDS = 10
_KEPT = 8  # fits, the newest ones; each about a megabyte


class ExpectedAccuracy:
    """A regression of the networks that learned and, if enough did not, the odds that one does.

    Args:
        x: (N, F), features.
        y: (N,), accuracies.
        chance: Below it a network did not learn.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], chance: float) -> None:
        failed = y < chance
        self._odds: GradientBoostingClassifier | None = None
        if failed.sum() >= FOLDS:
            self._odds = GradientBoostingClassifier(n_estimators=200, **_TREES).fit(x, ~failed)
            self._failed = float(y[failed].mean())
            x, y = x[~failed], y[~failed]
        self._regression = _regressor().fit(x, y)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M,), the expected accuracy of each row of (M, F) features."""
        accuracy: NDArray[np.float64] = self._regression.predict(x)
        if self._odds is not None:
            learns = self._odds.predict_proba(x)[:, 1]
            accuracy = learns * accuracy + (1 - learns) * self._failed
        return accuracy


@dataclass(frozen=True)
class Fit:
    """A model, and how well it predicts.

    Attributes:
        model: Of all networks.
        predicted: (N,), of each network by a model that was fitted to the other nine tenths.
    """

    model: ExpectedAccuracy
    predicted: NDArray[np.float64]


@lru_cache(maxsize=1)
def fit(features: bytes, accuracies: bytes, chance: float) -> Fit:
    """Fits a model, or finds it in the user's cache folder.

    Args:
        features: Of (N, F) float64, as bytes.
        accuracies: Of (N,) float64, as bytes.
        chance: Accuracy below which a network did not learn.
    """
    path = cache_root() / "surrogates" / f"{_key(features, accuracies, chance)}.fit"
    kept = _read(path)
    if kept is None:
        y = np.frombuffer(accuracies)
        x = np.frombuffer(features).reshape(len(y), -1)
        kept = Fit(ExpectedAccuracy(x, y, chance), _cross_validated(x, y, chance))
        with contextlib.suppress(OSError):  # without a folder to write it is fitted every time
            _write(path, kept)
    return kept


def _cross_validated(
    x: NDArray[np.float64], y: NDArray[np.float64], chance: float
) -> NDArray[np.float64]:
    predicted = np.empty(len(y))
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        predicted[test] = ExpectedAccuracy(x[train], y[train], chance).predict(x[test])
    return predicted


_TREES: dict[str, Any] = {
    "learning_rate": 0.04, "max_depth": 4, "subsample": 0.6, "max_features": 0.3, "random_state": 0,
}  # fmt: skip


def _regressor() -> VotingRegressor:
    """Trees find thresholds, the smooth kernel what lies between; each alone ranks 0.01 worse."""
    trees = GradientBoostingRegressor(n_estimators=400, **_TREES)
    smooth = make_pipeline(StandardScaler(), SVR(C=0.3, epsilon=0.02))
    return VotingRegressor([("trees", trees), ("smooth", smooth)])


def _key(features: bytes, accuracies: bytes, chance: float) -> str:
    """Changes with the results and the versions of what fits them."""
    settings = sorted(_regressor().get_params().items())
    versions = (__version__, sklearn.__version__, np.__version__, platform.python_version())
    digest = hashlib.sha256(f"{settings} {versions} {platform.machine()} {FOLDS} {chance}".encode())
    for content in (features, accuracies):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Fit | None:
    """The kept fit; None where there is none, or it is damaged.

    It is unpickled: like Python's own compiled files it is the user's, in the user's folder.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, pickled = content[:32], content[32:]
    if hashlib.sha256(pickled).digest() != digest:
        return None
    kept: Fit = pickle.loads(pickled)
    return kept


def _write(path: Path, kept: Fit) -> None:
    """Writes the fit, and removes old ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pickled = pickle.dumps(kept)
    replace_file(path, hashlib.sha256(pickled).digest() + pickled)
    for old in sorted(path.parent.glob("*.fit"), key=lambda p: p.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
