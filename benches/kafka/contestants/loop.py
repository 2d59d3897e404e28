"""A drift monitor of a Kafka topic as a team would write it: buckets of each feature, per minute or per window.

Reads so many records, then prints how fast that was and the counts as JSON. What is asked for is JSON, too, and the
only argument.
"""

import json
import resource
import sys
import time
from bisect import bisect_left
from datetime import datetime

import numpy as np
import orjson
from confluent_kafka import Consumer, TopicPartition

MINUTE = 60_000


def milliseconds(ts):
    return int(datetime.fromisoformat(ts).timestamp() * 1000) if isinstance(ts, str) else ts


class Panes:
    """Counts per minute, a batch at a time."""

    def __init__(self, features, _panes):
        self.features = []
        for feature in features:
            edges = feature.get("edges")
            categories = feature.get("categories", [])
            index = {category: i for i, category in enumerate(categories)}
            width = (len(index) if edges is None else len(edges)) + 1
            edges = None if edges is None else np.array(edges)
            self.features.append((feature["name"], edges, index, width))
        self.panes = {}

    def take(self, messages):
        events = [orjson.loads(message.value()) for message in messages]
        minutes = np.array([milliseconds(event["ts"]) for event in events]) // MINUTE
        minutes, pane = np.unique(minutes, return_inverse=True)
        counts = []
        for name, edges, index, width in self.features:
            values = [event.get(name) for event in events]
            if edges is None:
                buckets = np.array([index.get(value, width - 1) for value in values])
            else:
                buckets = np.searchsorted(edges, np.array(values, dtype=float))
            cells = np.bincount(pane * width + buckets, minlength=len(minutes) * width)
            counts.append(cells.reshape(-1, width))
        for minute, cells in zip(minutes.tolist(), np.hstack(counts)):
            if minute in self.panes:
                self.panes[minute] += cells
            else:
                self.panes[minute] = cells

    def counts(self):
        total, start, counts = sum(self.panes.values()), 0, []
        for *_, width in self.features:
            counts.append(total[start : start + width].tolist())
            start += width
        return counts


class Windows:
    """Counts per window: each event is added to every window it belongs to."""

    def __init__(self, features, panes):
        self.features = features
        self.panes = panes
        self.windows = {}

    def take(self, messages):
        for message in messages:
            event = json.loads(message.value())
            minute = milliseconds(event["ts"]) // MINUTE
            for feature in self.features:
                value = event.get(feature["name"])
                if "edges" in feature:
                    bucket = bisect_left(feature["edges"], value)
                elif value in feature["categories"]:
                    bucket = feature["categories"].index(value)
                else:
                    bucket = len(feature["categories"])
                for end in range(minute + 1, minute + 1 + self.panes):
                    key = (end, feature["name"], bucket)
                    self.windows[key] = self.windows.get(key, 0) + 1

    def counts(self):
        counts = []
        for feature in self.features:
            width = len(feature.get("edges", feature.get("categories"))) + 1
            counts.append([0] * width)
        place = {feature["name"]: i for i, feature in enumerate(self.features)}
        for (_, name, bucket), n in self.windows.items():
            counts[place[name]][bucket] += n
        return [[n // self.panes for n in feature] for feature in counts]


def main(asked):
    consumer = Consumer(asked["consumer"])
    consumer.assign([TopicPartition(asked["topic"], p, 0) for p in range(asked["partitions"])])
    monitor = (Windows if asked["naive"] else Panes)(asked["features"], asked["panes"])
    each = asked["records"] // asked["partitions"]
    seen, began = 0, None
    while seen < asked["records"]:
        messages = consumer.consume(1000, 1.0)
        # Partitions are read side by side, and some further than wanted.
        messages = [message for message in messages if message.offset() < each]
        if began is None and messages:
            began, cpu = time.monotonic(), time.process_time()
        if messages:
            monitor.take(messages)
        seen += len(messages)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"rate": seen / seconds, "cpu_us": cpu * 1e6 / seen, "peak_mib": peak, "counts": monitor.counts()}
    json.dump(told, sys.stdout)
    sys.stdout.flush()


main(json.loads(sys.argv[1]))
