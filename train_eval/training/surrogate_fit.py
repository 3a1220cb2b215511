"""The regression behind the surrogate, fitted once for each set of results and then kept."""

import contextlib
import hashlib
import pickle
import platform
from functools import lru_cache
from pathlib import Path

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, VotingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from gym_cnnarch import __version__
from gym_cnnarch.files import replace_file
from train_eval.data.cache import cache_root

FOLDS = 10
_KEPT = 8  # fits, the newest ones; each about a megabyte

Fit = tuple[VotingRegressor, NDArray[np.float64]]
"""The model of all networks, and what models of nine tenths of them say of the others, (N,)."""


@lru_cache(maxsize=1)
def fit(features: bytes, accuracies: bytes) -> Fit:
    """Fits a regression, or finds it in the user's cache folder.

    Args:
        features: Of (N, F) float64, as bytes.
        accuracies: Of (N,) float64, as bytes.
    """
    path = cache_root() / "surrogates" / f"{_key(features, accuracies)}.fit"
    kept = _read(path)
    if kept is None:
        y = np.frombuffer(accuracies)
        x = np.frombuffer(features).reshape(len(y), -1)
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        kept = _regressor().fit(x, y), cross_val_predict(_regressor(), x, y, cv=folds)
        with contextlib.suppress(OSError):  # without a folder to write it is fitted every time
            _write(path, kept)
    return kept


def _regressor() -> VotingRegressor:
    """Trees find thresholds, the smooth kernel what lies between; each alone ranks 0.01 worse."""
    trees = GradientBoostingRegressor(
        n_estimators=400,
        learning_rate=0.04,
        max_depth=4,
        subsample=0.6,
        max_features=0.3,
        random_state=0,
    )
    smooth = make_pipeline(StandardScaler(), SVR(C=0.3, epsilon=0.02))
    return VotingRegressor([("trees", trees), ("smooth", smooth)])


def _key(features: bytes, accuracies: bytes) -> str:
    """Changes with the results and with all code that fits them."""
    settings = sorted(_regressor().get_params().items())
    versions = (__version__, sklearn.__version__, np.__version__, platform.python_version())
    digest = hashlib.sha256(f"{settings} {versions} {platform.machine()} {FOLDS}".encode())
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
