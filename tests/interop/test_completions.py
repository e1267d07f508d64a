# SPDX-License-Identifier: Apache-2.0
"""Tasks of completions (SQuAD, TriviaQA, E2E, summaries, GSM8K) on SmolLM2: what is written, greedily,
against lm-eval driven offline with the same prompts, to the byte; what it is worth, against SQuAD's
definitions, lm-eval's exact match, sacrebleu and rouge-score; every form in which a benchmark is
published against the hub's. And the same on the model in NF4, against nibble-generate."""

import csv
import json

import pytest
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU

import answer_scorers
from common import DATA, run
from lm_evaluation import lm_eval, ours, splits, theirs

PASSAGE = (
    "The Meriden lighthouse was built in 1861 by the engineer Ada Holt on a cliff of red sandstone. "
    "Its lamp burned whale oil until 1890, when paraffin took its place. The tower is 31 metres high "
    "and has 164 steps. In 1954 the last keeper, Tom Brill, left for Lisbon.")
QUESTIONS = [
    ("Who built the Meriden lighthouse?", ["Ada Holt", "the engineer Ada Holt"]),
    ("In what year was the lighthouse built?", ["1861"]),
    ("How high is the tower?", ["31 metres", "31 metres high"]),
    ("What burned in the lamp until 1890?", ["whale oil"]),
    ("Where did Tom Brill go?", ["Lisbon"]),
]
TRIVIA = [
    ("What is the capital of France", ["Paris", "City of Paris"]),
    ("Which planet is known as the Red Planet", ["Mars", "Planet Mars"]),
    ("Who wrote the play Romeo and Juliet", ["William Shakespeare", "Shakespeare"]),
    ("What is the chemical symbol of gold", ["Au"]),
    ("In which ocean does the island of Madagascar lie", ["Indian Ocean", "Indian"]),
]
FACTS = [
    ("name[Blue Spice], eatType[coffee shop], area[city centre]",
     ["A coffee shop in the city centre area called Blue Spice.",
      "Blue Spice is a coffee shop in city centre."]),
    ("name[Zizzi], food[Italian], priceRange[cheap]",
     ["Zizzi serves cheap Italian food.", "For cheap Italian food there is Zizzi."]),
]
DIALOGUES = [
    ("Ann: I missed the bus.\nBob: I can fetch you at nine.\nAnn: Thanks!",
     "Ann missed the bus and Bob will fetch her at nine."),
    ("Lee: Is the cake ready?\nMia: In ten minutes.", "Mia's cake will be ready in ten minutes."),
]
TOKENS = 24


def write_lines(path, records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def their_completions(lm, folder, data, prompt, stop, extra=""):
    (folder / "task.yaml").write_text(
        f"task: interop_text\ndataset_path: json\n{splits(data)}output_type: generate_until\n"
        f"test_split: test\ndoc_to_text: {json.dumps(prompt)}\ndoc_to_target: x\n{extra}"
        f"generation_kwargs: {{until: {json.dumps(stop)}, do_sample: false, max_gen_toks: {TOKENS}}}\n"
        "metric_list: [{metric: exact_match}]\n")
    (samples,) = theirs(lm, folder, "interop_text", shots=0)["samples"].values()
    return [s["resps"][0][0] for s in sorted(samples, key=lambda s: s["doc_id"])]


def short(task, folder):
    """The task with fewer tokens, as a file of the user's."""
    lines = run("nibble-eval", f"--show-task={task}").splitlines(keepends=True)
    path = folder / f"{task}.toml"
    path.write_text("".join(f"max_tokens = {TOKENS}\n" if line.startswith("max_tokens") else line
                            for line in lines))
    return path


def completions(records):
    return [records[i]["completion"] for i in sorted(records)]


def assert_squad(report, texts, references):
    want, _ = answer_scorers.squad(
        [{"hypothesis": t.strip(), "references": r} for t, r in zip(texts, references)])
    for name, value in want.items():
        assert report["metrics"][f"squad.{name}"]["value"] == pytest.approx(value, rel=1e-12)
    print(texts, want)


def test_squad(lm, smollm2, tmp_path):
    hub = write_lines(tmp_path / "hub.jsonl", [
        {"id": str(i), "title": "Meriden", "context": PASSAGE, "question": q,
         "answers": {"text": a, "answer_start": [0] * len(a)}} for i, (q, a) in enumerate(QUESTIONS)])
    (tmp_path / "dev-v1.1.json").write_text(json.dumps({"version": "1.1", "data": [
        {"title": "Meriden", "paragraphs": [{"context": PASSAGE, "qas": [
            {"id": str(i), "question": q, "answers": [{"text": t, "answer_start": 0} for t in a]}
            for i, (q, a) in enumerate(QUESTIONS)]}]}]}))
    task = short("squad", tmp_path)
    report, records = ours(smollm2, task, tmp_path, f"--data={hub}")
    want = their_completions(
        lm, tmp_path, hub, "Title: {{title}}\n\nBackground: {{context}}\n\nQuestion: {{question}}"
        "\n\nAnswer:", ["\n"])
    assert completions(records) == want
    assert_squad(report, want, [a for _, a in QUESTIONS])
    again, _ = ours(smollm2, task, tmp_path, f"--data={tmp_path}/dev-v1.1.json")
    assert again == report


def test_triviaqa(lm, smollm2, tmp_path):
    hub = write_lines(tmp_path / "hub.jsonl", [
        {"question": q, "answer": {"value": a[0], "aliases": a}} for q, a in TRIVIA])
    (tmp_path / "unfiltered-web-dev.json").write_text(json.dumps({"Data": [
        {"Question": q, "Answer": {"Value": a[0], "Aliases": a}} for q, a in TRIVIA]}))
    yaml = f"{lm_eval.__path__[0]}/tasks/triviaqa/default.yaml"
    (tmp_path / "task.yaml").write_text(
        f"include: {yaml}\ntask: interop_trivia\ndataset_path: json\ndataset_name: null\n{splits(hub)}"
        f'generation_kwargs: {{until: ["\\n", ".", ","], do_sample: false, max_gen_toks: {TOKENS}}}\n')
    result = theirs(lm, tmp_path, "interop_trivia", shots=0)
    (samples,), (scores,) = result["samples"].values(), result["results"].values()
    task = short("triviaqa", tmp_path)
    report, records = ours(smollm2, task, tmp_path, f"--data={hub}")
    for sample in samples:
        assert records[sample["doc_id"]]["completion"] == sample["resps"][0][0]
    assert_squad(report, completions(records), [a for _, a in TRIVIA])
    # No answer here has an article, which SQuAD's scorer drops and lm-eval's does not.
    assert report["metrics"]["squad.exact_match"]["value"] == pytest.approx(
        100 * scores["exact_match,remove_whitespace"])
    again, _ = ours(smollm2, task, tmp_path, f"--data={tmp_path}/unfiltered-web-dev.json")
    assert again == report


def assert_texts(report, texts, references):
    """BLEU, where the report has it, and ROUGE's F."""
    texts = [t.strip() for t in texts]
    if "bleu.bleu" in report["metrics"]:
        most = max(map(len, references))
        columns = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
        want = BLEU().corpus_score(texts, columns).score
        assert report["metrics"]["bleu.bleu"]["value"] == pytest.approx(want, rel=1e-9)
    kinds = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeL", "rougeLsum": "rougeLsum"}
    scorer = rouge_scorer.RougeScorer(list(kinds))
    rows = [scorer.score_multi(r, t) for t, r in zip(texts, references)]
    got = {name: m["value"] for name, m in report["metrics"].items() if name.startswith("rouge.")}
    want = {f"rouge.{k}": sum(row[k].fmeasure for row in rows) / len(rows) for k in kinds}
    assert got == pytest.approx(want, rel=1e-9)
    print(texts, got)


def check_texts(lm, smollm2, folder, task, data, prompt, stop, references, *options):
    report, records = ours(smollm2, short(task, folder), folder, f"--data={data}", *options)
    source = data if data.suffix == ".jsonl" else folder / "theirs.jsonl"
    want = their_completions(lm, folder, source, prompt, stop)
    assert completions(records) == want
    assert_texts(report, want, references)
    return report


def test_e2e(lm, smollm2, tmp_path):
    references = [r for _, r in FACTS]
    grouped = write_lines(tmp_path / "grouped.jsonl", [{"mr": m, "refs": r} for m, r in FACTS])
    report = check_texts(lm, smollm2, tmp_path, "e2e_nlg", grouped, "Facts: {{mr}}\nSentence:",
                         ["\n"], references)
    hub = write_lines(tmp_path / "hub.jsonl", [
        {"meaning_representation": m, "human_reference": r[0], "references": r} for m, r in FACTS])
    again, _ = ours(smollm2, short("e2e_nlg", tmp_path), tmp_path, f"--data={hub}")
    assert again == report


def test_summaries(lm, smollm2, tmp_path):
    for names in ("article", "highlights"), ("document", "summary"), ("dialogue", "summary"):
        data = write_lines(tmp_path / f"{names[0]}.jsonl",
                           [dict(zip(names, pair)) for pair in DIALOGUES])
        check_texts(lm, smollm2, tmp_path, "summaries", data, "{{%s}}\n\nSummary:" % names[0],
                    ["\n\n"], [[s] for _, s in DIALOGUES])


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
def test_real_e2e(lm, smollm2, tmp_path):
    """The challenge's own CSV, a row a reference, and its rows of one MR together."""
    path = DATA / "metrics/e2e/testset_w_refs.csv"
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:40]
    together = {}
    for row in rows:
        together.setdefault(row["mr"], []).append(row["ref"])
    prompt = "Facts: {{mr}}\nSentence:"
    write_lines(tmp_path / "theirs.jsonl", rows[:5])
    check_texts(lm, smollm2, tmp_path, "e2e_nlg", path, prompt, ["\n"],
                [[r["ref"]] for r in rows[:5]], "--limit=5")
    grouped = write_lines(tmp_path / "grouped.jsonl",
                          [{"mr": m, "refs": r} for m, r in together.items()])
    check_texts(lm, smollm2, tmp_path, "e2e_nlg", grouped, prompt, ["\n"], list(together.values()))


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
def test_real_gsm8k(lm, smollm2, tmp_path):
    lines = (DATA / "instructions/gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines[:6]]
    data = write_lines(tmp_path / "gsm8k.jsonl", records[2:])
    shots = write_lines(tmp_path / "shots.jsonl", records[:2])
    yaml = f"{lm_eval.__path__[0]}/tasks/gsm8k/gsm8k.yaml"
    stop = ["Question:", "</s>", "<|im_end|>"]
    (tmp_path / "task.yaml").write_text(
        f"include: {yaml}\ntask: interop_gsm8k\ndataset_path: json\ndataset_name: null\n"
        f"{splits(data, shots)}fewshot_config: {{sampler: first_n}}\n"
        f"generation_kwargs: {{until: {json.dumps(stop)}, do_sample: false, max_gen_toks: 64}}\n")
    result = theirs(lm, tmp_path, "interop_gsm8k", shots=2)
    task = tmp_path / "own.toml"
    task.write_text(run("nibble-eval", "--show-task=gsm8k").replace("max_tokens = 256", "max_tokens = 64"))
    report, records = ours(smollm2, task, tmp_path, f"--data={data}", f"--few-shot-data={shots}",
                           "--few-shot=2", "--few-shot-order=first")
    (samples,), (scores,) = result["samples"].values(), result["results"].values()
    for sample in samples:
        assert records[sample["doc_id"]]["completion"] == sample["resps"][0][0]
    for name, filtered in (("strict_match", "strict-match"), ("flexible_extract", "flexible-extract")):
        assert report["metrics"][f"gsm8k.{name}"]["value"] == scores[f"exact_match,{filtered}"]


def test_nf4(smollm2, tmp_path):
    """A quantised model's task, against its own completions of the same prompts."""
    run("nibble-quantize", "-q", smollm2, "-o", tmp_path / "nf4")
    hub = write_lines(tmp_path / "hub.jsonl", [
        {"question": q, "answer": {"value": a[0], "aliases": a}} for q, a in TRIVIA])
    report, records = ours(tmp_path / "nf4", short("triviaqa", tmp_path), tmp_path, f"--data={hub}")
    prompts = write_lines(tmp_path / "prompts.jsonl",
                          [{"prompt": f"Question: {q}?\nAnswer:"} for q, _ in TRIVIA])
    out = run("nibble-generate", "-q", f"--model={tmp_path}/nf4", "--raw", "--compute=f32",
              f"--max-tokens={TOKENS}", "--stop=\n", "--stop=.", "--stop=,", prompts)
    want = [json.loads(line)["completion"] for line in out.splitlines()]
    assert completions(records) == want
    assert_squad(report, want, [a for _, a in TRIVIA])
