# SPDX-License-Identifier: Apache-2.0
"""Times datasketch's MinHashLSH on the texts of a JSONL file, one inserted after another where none
before is a candidate: datasketch_lsh.py TEXTS.jsonl THRESHOLD. Prints one JSON object."""

import json
import re
import resource
import sys
import time

import datasketch


def main(path, threshold):
    with open(path) as lines:
        texts = [json.loads(line)["text"] for line in lines]
    start = time.perf_counter()
    lsh, found = datasketch.MinHashLSH(threshold=float(threshold), num_perm=128), 0
    for i, text in enumerate(texts):
        words = re.findall("[a-z0-9]+", text.lower())
        minhash = datasketch.MinHash(num_perm=128)
        minhash.update_batch({" ".join(words[k : k + 3]).encode() for k in range(max(1, len(words) - 2))})
        if lsh.query(minhash):
            found += 1
        else:
            lsh.insert(i, minhash)
    took = time.perf_counter() - start
    print(json.dumps({
        "texts_per_second": len(texts) / took,
        "found": found,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])
