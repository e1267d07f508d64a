# SPDX-License-Identifier: Apache-2.0
"""NLTK's WordNet over Debian's files: its own corpus is not to be had offline. The one file that
Debian's wordnet-base lacks, the names of lexicographer files (lexnames(5WN)), plays no part in
synonyms; as many names stand for it."""

import os
import pathlib
import shutil

import nltk.data
from nltk.corpus import wordnet

WORDNET = pathlib.Path("/usr/share/wordnet")


def wordnet_reader(folder):
    """NLTK's reader, over copies in the folder; None where wordnet-base is not installed."""
    if not (WORDNET / "index.noun").exists():
        return None
    corpus = folder / "corpora/wordnet"
    corpus.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(WORDNET):
        if name.startswith(("index.", "data.", "cntlist")) or name.endswith(".exc"):
            shutil.copy(WORDNET / name, corpus / name)
    (corpus / "lexnames").write_text("".join(f"{i:02}\tname{i}\t1\n" for i in range(45)))
    nltk.data.path.insert(0, str(folder))
    wordnet.ensure_loaded()
    return wordnet
