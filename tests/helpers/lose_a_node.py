"""A script for test_executors: jobs on a Ray cluster of two local nodes, one of which is lost."""

import tempfile
from pathlib import Path

from PIL import Image
from ray.cluster_utils import Cluster

from helpers.bars import draw_bars
from helpers.fake_jobs import SMALL, small_job
from helpers.photos import a_seven
from imparfait.inference import batch
from imparfait.inference.batch import files_in, predict_files, predict_on
from imparfait.inference.loading import load_predictor
from imparfait.inference.predict_jobs import PredictorSource
from imparfait.selection.executors import executor_named
from imparfait.selection.jobs import run_job

JOBS, LOST_AFTER, FILES = 6, 2, 120

data = draw_bars(240)
settings = SMALL.model_copy(update={"epochs": 8})
jobs = [small_job(data, partition=n, settings=settings) for n in range(JOBS)]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
executor = executor_named("ray", cluster.address)
assert executor.workers == 2, executor
results, lost = {}, False
for job, result in executor.run(jobs, data):
    results[job.partition] = result
    if len(results) == LOST_AFTER:
        cluster.remove_node(nodes[1], allow_graceful=False)
        lost = True
assert lost
assert sorted(results) == list(range(JOBS)), sorted(results)
for job in jobs:
    assert not results[job.partition].cause, results[job.partition].cause
    assert (results[job.partition].predicted == run_job(job, data).predicted).all()
print(f"{JOBS} jobs, a node lost after {LOST_AFTER} of them: the same results as in this process")

nodes[1] = cluster.add_node(num_cpus=1)
batch.CHUNK_FILES = 5
with tempfile.TemporaryDirectory() as folder:
    for number in range(FILES):
        Image.fromarray(a_seven()).rotate(number).save(Path(folder) / f"{number:03d}.png")
    files = list(files_in([Path(folder)]))
    predictions = predict_on(executor, files, PredictorSource.of("digits"))
    found = [next(predictions)]
    cluster.remove_node(nodes[1], allow_graceful=False)
    found += predictions
    expected = predict_files(files, load_predictor("digits"))
    for one, other in zip(found, expected, strict=True):
        assert (one.file, one.prediction, one.error) == (other.file, other.prediction, other.error)
print(f"{FILES} images, a node lost after the first: the same predictions as in this process")
