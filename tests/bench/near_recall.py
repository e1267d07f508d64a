# SPDX-License-Identifier: Apache-2.0
"""How right nibble-dedup --near was, by the sets themselves:

    nibble-dedup TEXTS.jsonl --near=T --removed=REMOVED.jsonl -o KEPT.jsonl
    near_recall.py TEXTS.jsonl REMOVED.jsonl T [SAMPLE]

Precision: of all near duplicates removed, those whose Jaccard similarity (words:3) with the record
that stayed is T or more, where both are ASCII, whose words are alike everywhere. Recall: of a sample of the texts that should have gone, since one
that stayed before is as much like them, those that went. Prints one JSON object."""

import collections
import json
import random
import re
import sys


def shingles(text):
    words = re.findall("[a-z0-9]+", text.lower())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()


def main(path, removed_path, threshold, sample="20000"):
    threshold = float(threshold)
    with open(path) as lines:
        texts = [json.loads(line)["text"] for line in lines]
    gone, right, near = set(), 0, 0
    with open(removed_path) as lines:
        for line in lines:
            record = json.loads(line)
            at, of = (int(record[key].rsplit(":", 1)[1]) - 1 for key in ("place", "of"))
            gone.add(at)
            if record["removed"] == "near_duplicate" and texts[at].isascii() and texts[of].isascii():
                a, b = shingles(texts[at]), shingles(texts[of])
                near += 1
                right += len(a & b) / len(a | b) >= threshold and of not in gone
    # A sample of what stayed; which of it has one like it among what stayed before?
    stayed = [i for i in range(len(texts)) if i not in gone]
    chosen = random.Random(1).sample(stayed, min(int(sample), len(stayed)))
    sets, wanted = {i: shingles(texts[i]) for i in chosen}, collections.defaultdict(list)
    for i, s in sets.items():
        for shingle in s:
            wanted[shingle].append(i)
    missed = set()
    for j in stayed:
        s = shingles(texts[j])
        common = collections.Counter(i for shingle in s & wanted.keys() for i in wanted[shingle] if i > j)
        for i, both in common.items():
            if both / (len(s) + len(sets[i]) - both) >= threshold:
                missed.add(i)
    total_missed = len(missed) * len(stayed) / len(chosen)
    print(json.dumps({"near_duplicates": near, "precision": right / near, "sampled": len(chosen),
                      "missed_in_sample": len(missed), "recall": near / (near + total_missed)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
