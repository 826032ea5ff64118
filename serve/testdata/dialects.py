"""Clients of the dialects that nobody here wrote, against a server at argv[1]:
tritonclient 2.73.0, mlflow-skinny 3.17.2 (if it is there), requests with pandas, and
pyarrow 26.0.1. Prints one JSON object: what each got for the rows, by the name of the way."""
import http.client
import io
import json
import sys
import threading
import types
import urllib.parse

import numpy as np
import pandas as pd
import pyarrow as pa
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

base = sys.argv[1]
host = urllib.parse.urlparse(base).netloc
as_of = "2026-03-01T09:30:00Z"
rows = pd.DataFrame({
    "plan": ["pro", "free", "enterprise"],
    "logins_28d": [6, 41, 400],
    "seats": [12.0, None, 3.0],
    "sso": [False, True, True],
    "created_at": ["2026-01-20T08:00:00Z", "2026-02-11", "2025-12-24"],
    "code": ["002", "001", "003"],
    "tier": ["1", "2.5", "1"],
})
out = {}


def plain(reply):
    reply.raise_for_status()
    return reply.json()


# /v1, for comparison
answers = []
for row in json.loads(rows.to_json(orient="records")):
    answers.append(plain(requests.post(base + "/v1/models/churn/score", json={"row": row, "reasons": 1, "as_of": as_of})))
out["v1"] = {"probability": [a["probability"] for a in answers], "band": [a["band"] for a in answers]}
reasons = [a["reasons"] for a in answers]

# Open Inference Protocol
client = triton.InferenceServerClient(host)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("churn") and client.is_model_ready("churn", "1") and not client.is_model_ready("nobody")
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
meta = client.get_model_metadata("churn", "champion")
assert meta["name"] == "churn" and meta["versions"] == ["1"], meta
declared = {t["name"]: t["datatype"] for t in meta["inputs"]}
assert list(declared) == list(rows.columns), declared


def tensors(binary, column_shape):
    numpy_of = {"BYTES": np.object_, "FP64": np.float64, "BOOL": np.bool_}
    made = []
    for name in rows.columns:
        kind = declared[name]
        array = rows[name].to_numpy(dtype=numpy_of[kind])
        if name == "logins_28d":
            kind, array = "INT32", array.astype(np.int32)
        if column_shape:
            array = array.reshape(-1, 1)
        t = triton.InferInput(name, list(array.shape), kind)
        # NaN has no JSON of its own: a column that holds one goes as binary data.
        t.set_data_from_numpy(array, binary_data=binary or name == "seats")
        made.append(t)
    return made


for binary in (False, True):
    for column_shape in (False, True):
        for asked in (None, ["probability", "band", "score", "reasons"]):
            outputs = asked and [triton.InferRequestedOutput(name, binary_data=binary) for name in asked]
            r = client.infer("churn", tensors(binary, column_shape), outputs=outputs, request_id="7", parameters={"as_of": as_of, "reasons": 1})
            assert r.get_response()["id"] == "7" and r.get_response()["model_version"] == "1"
            texts = [b if isinstance(b, str) else b.decode() for b in r.as_numpy("band")]
            said = [json.loads(b) for b in r.as_numpy("reasons")]
            assert said == reasons, said
            assert r.as_numpy("score").dtype == np.int64
            out[f"triton {binary} {column_shape} {bool(asked)}"] = {"probability": r.as_numpy("probability").tolist(), "band": texts}
try:
    client.infer("churn", tensors(True, False)[1:])
    sys.exit("an input is missing, and nothing is said")
except InferenceServerException as e:
    assert e.status() == "422" and "plan is absent" in e.message(), (e.status(), e.message())
try:
    client.get_model_metadata("nobody")
    sys.exit("a model is missing, and nothing is said")
except InferenceServerException as e:
    assert e.status() == "404" and "there is no model" in e.message(), e.message()
client.close()


# MLflow, as its users call it by hand
def invoke(body, **headers):
    reply = requests.post(base + "/models/churn/invocations", data=body, headers={"Content-Type": "application/json", **headers})
    return plain(reply)["predictions"]


as_python = rows.astype(object).where(rows.notna(), None)
params = {"as_of": as_of}
for name, table in {
    "split": {"dataframe_split": as_python.to_dict(orient="split")},
    "records": {"dataframe_records": as_python.to_dict(orient="records")},
    "instances": {"instances": as_python.to_dict(orient="records")},
    "inputs": {"inputs": as_python.to_dict(orient="list")},
    "split with NaN": {"dataframe_split": rows.to_dict(orient="split")},
}.items():
    text = json.dumps({**table, "params": params})
    assert ("NaN" in text) == ("NaN" in name)
    full = invoke(json.dumps({**table, "params": {**params, "reasons": 1}}))
    assert [a["reasons"] for a in full] == reasons
    out["mlflow " + name] = {"probability": invoke(text), "band": [a["band"] for a in full]}
out["mlflow csv"] = {"probability": invoke(rows.assign(moment=as_of).to_csv(index=False), **{"Content-Type": "text/csv"})}
assert requests.get(base + "/ping").status_code == 200

# MLflow's own client, which needs a server whose only model it is. It looks for scipy.sparse
# without asking whether there is a scipy.
if "scipy" not in sys.modules:
    sys.modules["scipy"] = types.ModuleType("scipy")
    sys.modules["scipy"].__path__ = []
try:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient
except ImportError:
    pass
else:
    server = ScoringServerClient(*urllib.parse.urlparse(sys.argv[2]).netloc.split(":"))
    server.wait_server_ready(timeout=10)
    assert server.get_version() == "1.2.3"
    got = server.invoke(rows, params={"as_of": as_of})  # spells the missing seats NaN
    out["mlflow client"] = {"probability": got.get_predictions("ndarray").tolist()}
    frame = server.invoke(rows, params={"as_of": as_of, "reasons": 1}).get_predictions()
    out["mlflow client, whole answers"] = {"probability": frame["probability"].tolist(), "band": frame["band"].tolist()}

# Arrow
many = pa.concat_tables([pa.Table.from_pandas(rows, preserve_index=False)] * 500)
typed = many.set_column(1, "logins_28d", many["logins_28d"].cast(pa.uint16()))
typed = typed.set_column(0, "plan", typed["plan"].dictionary_encode())
typed = typed.set_column(5, "code", typed["code"].cast(pa.large_string()))
typed = typed.append_column("created", pa.nulls(typed.num_rows, pa.list_(pa.int8())))  # a column of another type than any that is read


def scored(table, size, options=None):
    body = io.BytesIO()
    with pa.ipc.new_stream(body, table.schema, options=options) as w:
        w.write_table(table, max_chunksize=size)
    c = http.client.HTTPConnection(host)
    c.putrequest("POST", f"/v1/models/churn/score:batch?reasons=1&as_of={as_of}")
    c.putheader("Content-Type", "application/vnd.apache.arrow.stream")
    c.putheader("Accept", "application/vnd.apache.arrow.stream")
    c.putheader("Content-Length", str(body.tell()))
    c.endheaders()
    sender = threading.Thread(target=lambda: c.send(body.getvalue()))  # read while you send
    sender.start()
    reply = c.getresponse()
    assert reply.status == 200, reply.read()
    with pa.ipc.open_stream(reply) as r:
        batches = list(r)
    sender.join()
    c.close()
    return batches


for name, table in {"plain": many, "typed": typed}.items():
    batches = scored(table, 400)
    want = [min(400, table.num_rows - at) for at in range(0, table.num_rows, 400)] if name == "plain" else None
    if want:
        assert [b.num_rows for b in batches] == [b.num_rows for b in table.to_batches(max_chunksize=400)]
    answer = pa.Table.from_batches(batches)
    assert answer.num_rows == 1500 and answer["reason_1"].null_count == 0
    for start in range(0, 1500, 300):
        part = answer.slice(start, 3).to_pydict()
        out[f"pyarrow {name} {start}"] = {"probability": part["probability"], "band": part["band"]}
        assert part["reason_1_feature"] == [r[0]["feature"] for r in reasons]

# A dictionary that is replaced from batch to batch
body = io.BytesIO()
schema = many.schema.set(0, pa.field("plan", many["plan"].dictionary_encode().type))
with pa.ipc.new_stream(body, schema) as w:
    for i in range(3):
        one = many.slice(i, 1).combine_chunks()
        w.write_table(one.set_column(0, "plan", one["plan"].dictionary_encode()))
reply = requests.post(f"{base}/v1/models/churn/score:batch?reasons=0&as_of={as_of}", data=body.getvalue(), headers={"Content-Type": "application/vnd.apache.arrow.stream"})
assert reply.status_code == 200, reply.text
answer = pa.ipc.open_stream(reply.content).read_all().to_pydict()
out["pyarrow, dictionaries replaced"] = {"probability": answer["probability"], "band": answer["band"]}

print(json.dumps(out))
