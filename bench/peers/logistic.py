"""One logistic regression, or a lasso path, from a matrix in memory; judged on the last 20 % of the rows.

usage: logistic.py TOOL:COLUMNS DATA

TOOL: lbfgs, lbfgs_sparse, newton_cholesky (scikit-learn, L2 penalty of 1), statsmodels (no penalty, standard errors) or glmnet_path.
COLUMNS: 40 (categories as standardised codes), 235 (one-hot of c0 to c6, dense) or 435 (one-hot of all, sparse with _sparse).
Numbers are standardised, missing ones take the mean.
"""
import sys
import warnings

import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from common import *

warnings.filterwarnings("ignore")
(tool, columns), data = sys.argv[1].split(":"), sys.argv[2]
columns = int(columns)
x, y = read(data)
n = cut(len(y))
dense = [j for j in range(len(COLUMNS)) if columns == 40 or j not in CATEGORY_PLACES]
numbers = x[:, dense].astype(np.float64)
mean = np.nanmean(numbers[:n], 0)
numbers = np.where(np.isnan(numbers), mean, numbers) - mean
numbers /= numbers[:n].std(0) + 1e-12
onehot = []
if columns != 40:
    for j, place in enumerate(CATEGORY_PLACES[:7 if columns == 235 else 8]):
        onehot.append(sp.csr_matrix((np.ones(len(y)), (np.arange(len(y)), x[:, place].astype(np.int64))), shape=(len(y), LEVELS[j])))
if tool.endswith("_sparse"):
    design = sp.hstack([sp.csr_matrix(numbers)] + onehot, format="csr")
else:
    design = np.column_stack([numbers] + [o.toarray() for o in onehot])
del x, numbers, onehot
train, test, label = design[:n], design[n:], y[:n].astype(np.float64)
figures = {}

if tool in ("lbfgs", "lbfgs_sparse", "newton_cholesky"):
    from sklearn.linear_model import LogisticRegression

    def fit():
        model = LogisticRegression(C=1.0, solver=tool.split("_sparse")[0].replace("_", "-"), max_iter=300).fit(train, label)
        return lambda z: model.predict_proba(z)[:, 1]
elif tool == "statsmodels":
    import statsmodels.api as sm

    def fit():
        model = sm.Logit(label, np.column_stack([np.ones(n), train])).fit(disp=0, method="newton")
        model.bse
        return lambda z: model.predict(np.column_stack([np.ones(z.shape[0]), z]))
elif tool == "glmnet_path":
    from glmnet import LogitNet

    def fit():
        model = LogitNet(alpha=1, n_lambda=100, n_splits=0, standardize=False).fit(train, label)
        figures["points"] = len(model.lambda_path_)
        return lambda z: model.predict_proba(z, lamb=model.lambda_path_[-1])[:, 1]
else:
    raise SystemExit(f"no tool {tool}")
with threadpool_limits(THREADS):
    seconds, predict = timed(fit)
emit(seconds=seconds, **figures, **quality(y[n:], predict(test)))
