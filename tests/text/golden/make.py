# SPDX-License-Identifier: Apache-2.0
"""Makes the small tokenizers of this folder and golden.jsonl, the ids that Hugging Face's tokenizers
give for hard texts with each. Run with the environment of scripts/interop:
    python tests/text/golden/make.py
"""

import io
import json
import pathlib
import random

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers.tokenization_utils_base import generate_merges

HERE = pathlib.Path(__file__).parent
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def corpus():
    """Sentences of a small grammar, some numbers and some words of other scripts."""
    rng = random.Random(1)
    who = ["the miller", "a sailor", "her brother", "the old queen", "nobody", "I", "we", "they'll"]
    does = ["sells", "finds", "doesn't want", "has lost", "counts", "remembers", "won't open"]
    what = ["bread", "the blue door", "seven letters", "an island", "cheese", "naïve maps", "fire"]
    where = ["in Athens", "by the river", "at 10:45", "for 1234 days", "under snow", "über Köln"]
    rest = ["Добрый день", "日本語の文章", "καλημέρα κόσμε", "नमस्ते दुनिया", "안녕하세요", "😀👍🏽", "\t\tx = y;\n"]
    lines = []
    for _ in range(3000):
        line = f"{rng.choice(who)} {rng.choice(does)} {rng.choice(what)} {rng.choice(where)}"
        lines.append(line.capitalize() + rng.choice([".", "!", "?", ",\n", "...", " ;)"]))
        if rng.random() < 0.2:
            lines.append(rng.choice(rest))
    return lines


def byte_level(name, pre, normalizer=None, post=None, size=500, added=(), **model):
    t = Tokenizer(BPE())
    t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(corpus(), BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    t.add_tokens(list(added))
    if post:
        t.post_processor = post(t)
    spec = json.loads(t.to_str())
    spec["model"].update(model)
    save(name, spec)


def pieces_like(name, normalizer=None, pre=None, split=True, added=(), drop=(), **model):
    """SentencePiece's kind of model as tokenizer.json: characters, ▁ for spaces, <0xNN> bytes."""
    t = Tokenizer(BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=split)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    # Letters of other scripts are left to the bytes.
    latin = ["".join(c for c in line if ord(c) < 0x250) for line in corpus()]
    t.train_from_iterator(latin, trainer)
    spec = json.loads(t.to_str())
    spec["added_tokens"] = [a for a in spec["added_tokens"] if a["id"] < 3]
    for token in drop:
        del spec["model"]["vocab"][token]
    spec["model"].update({"fuse_unk": True, "byte_fallback": True, **model})
    t = Tokenizer.from_str(json.dumps(spec))
    t.normalizer, t.pre_tokenizer = normalizer, pre
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.add_tokens(list(added))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    save(name, json.loads(t.to_str()))


def save(name, spec, merges_as_text=False):
    if merges_as_text or name.startswith("gpt2"):  # the older form
        spec["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]]
    # Vocabularies that do not follow the order of merges are what ignore_merges is for.
    (HERE / f"{name}.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n")


def sentencepiece_model():
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, model_type="bpe", vocab_size=600, byte_fallback=True,
        character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False,
        user_defined_symbols=["<sep>", "[TOOL]"], minloglevel=2,
    )  # fmt: skip
    (HERE / "pieces.model").write_bytes(out.getvalue())
    # The library's defaults but for the table of characters: unigrams, white space joined.
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, vocab_size=300, character_coverage=0.98, minloglevel=2,
        normalization_rule_name="identity", hard_vocab_limit=False,
    )  # fmt: skip
    (HERE / "unigram.model").write_bytes(out.getvalue())


def hugging_face_of_pieces(legacy):
    """What transformers' conversion of a .model makes."""
    m = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "pieces.model"))
    pieces = [m.id_to_piece(i) for i in range(m.get_piece_size())]
    vocab = {p: i for i, p in enumerate(pieces)}
    extra = [p for i, p in enumerate(pieces) if m.is_control(i) or m.is_unknown(i)]
    user = ["<sep>", "[TOOL]"]
    scores = {p: m.get_score(i) for i, p in enumerate(pieces)}
    merges = generate_merges(vocab, scores, skip_tokens=extra + user)
    t = Tokenizer(BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.add_special_tokens([AddedToken(p, normalized=False) for p in extra])
    t.add_tokens([AddedToken(p, normalized=False) for p in user])
    return t


ADDED = [
    AddedToken("<|eot|>", special=True, normalized=False),
    AddedToken("<|eot|>>", special=True, normalized=False),
    AddedToken("<left>", lstrip=True, normalized=False),
    AddedToken("<right>", rstrip=True, normalized=False),
    AddedToken("word", single_word=True, normalized=False),
    AddedToken("ḁbc", normalized=True),
]


def tokenizers():
    P = pre_tokenizers
    byte_level("gpt2", P.ByteLevel(add_prefix_space=False), added=[AddedToken("<|endoftext|>", special=True)])
    byte_level("gpt2-prefix", P.ByteLevel(add_prefix_space=True), added=ADDED)
    byte_level(
        "llama3", P.Sequence([P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(False, use_regex=False)]),
        added=[AddedToken("<|begin|>", special=True, normalized=False), *ADDED], ignore_merges=True,
        post=lambda t: processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin|> $A", special_tokens=[("<|begin|>", t.token_to_id("<|begin|>"))]),
        ]),
    )  # fmt: skip
    byte_level(
        "qwen", P.Sequence([P.Split(Regex(QWEN), "isolated"), P.ByteLevel(False, use_regex=False)]),
        normalizer=normalizers.NFC(), added=ADDED,
    )  # fmt: skip
    byte_level("smollm", P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(False)]))
    byte_level("digits", P.Sequence([P.Digits(individual_digits=False), P.ByteLevel(False)]), size=300)
    for behavior in ["removed", "merged_with_previous", "merged_with_next", "contiguous"]:
        byte_level(
            f"split-{behavior}",
            P.Sequence([P.Split(Regex(r"[aeiou]+"), behavior), P.Split(" ", behavior, invert=True),
                        P.ByteLevel(False, use_regex=False)]),
            size=280, normalizer=normalizers.Strip(),
        )  # fmt: skip
    space = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    pieces_like("pieces-llama", normalizer=space)
    # Trained over spaces: tokens such as "s▁the", so that text must not be cut at words.
    pieces_like("pieces-joined", normalizer=space, split=False)
    pieces_like("pieces-unknown", normalizer=space, byte_fallback=False, added=ADDED)
    pieces_like("pieces-unfused", normalizer=space, byte_fallback=True, fuse_unk=False, drop=["<0xE2>", "<0x0A>"])
    pieces_like("pieces-first", pre=P.Metaspace(replacement="▁", prepend_scheme="first", split=False), added=ADDED)
    pieces_like("pieces-always", pre=P.Metaspace(replacement="▁", prepend_scheme="always", split=True))
    pieces_like(
        "pieces-regex",
        normalizer=normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace(" ", "▁")]),
    )
    sentencepiece_model()


def texts():
    rng = random.Random(7)
    fixed = [
        "", " ", "  ", "\n", "\n\n \n", "\t", "a", " a", "a ", "Hello world", " Hello  world ", "the old queen's", "DON'T",
        "They'LL", "it'ſ", "1234567890", "x1y22z333", "½²Ⅷ①५", "x\r\n\r\n  y", "naïve maps", "nai\u0308ve", "é€😀👍🏽",
        "日本語の文章", "e\u0301\u0323", "\u1100\u1161\u11a8", "Å\u212b", "a\u0325bc ḁbc", "\u180e\u00a0\u2003x\u3000",
        "\u0000\u007f\u0085", "\ufffd\ufeff", "\U000e0001\U0010ffff", "<0x0A>", "<s>", "a<s>b", "a <s> b", "</s><s>", "<unk>",
        "<|eot|>", "x <|eot|> y", "<|eot|>>", "<|eot|><|eot|>", "<|eot", "  <left>  x", "x  <right>  y", "<left><right>",
        "<right>   <left>", "word", "word.", "sword", "word word", "words wordy word", "_word", "wordé", "a<sep>b", "a <sep> b",
        "[TOOL] x[TOOL]", "▁x ▁", "▁▁", "a▁b", "Ġx", "ĠĠ", "<|begin|>x", "<|endoftext|>", "\U00010d40\U00011f50 \U00011de0",
        "\u1c89 \U0002ebf0", "\u0897\u0cf3", "ZzzzZ", "ж" * 40, "a" * 70, " " * 60, "the " * 20, "\u0301" * 30,
        "the miller sells bread by the river.\nA sailor finds an island",
    ]  # fmt: skip
    pools = [
        "abcdefghijklmnopqrstuvwxyz", "ABCDE'", "0123456789", " \n\t\r", ".,;:!?-_()[]{}<>|", "éèñüßÅ", "дб日語안", "\u0301\u0323\u0308",
        "😀👍🏽\u200d\ufe0f", "▁ĠĊ", "\u2028\u00a0\u3000\u180e",
    ]  # fmt: skip
    words = ["<s>", "<|eot|>", "word", "<left>", "<right>", " the", "river", "'s", "<0x41>", "<sep>", "ḁbc"]
    for _ in range(70):
        text = ""
        for _ in range(rng.randrange(1, 12)):
            pool = rng.choice(pools)
            text += rng.choice(words) if rng.random() < 0.25 else "".join(rng.choices(pool, k=rng.randrange(1, 5)))
        fixed.append(text)
    return fixed


def main():
    tokenizers()
    cases = [(p.name, Tokenizer.from_file(str(p)), {}) for p in sorted(HERE.glob("*.json"))]
    cases.append(("pieces.model", hugging_face_of_pieces(True), {}))
    cases.append(("pieces.model", hugging_face_of_pieces(False), {"legacy": False}))
    unigram = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "unigram.model"))
    with open(HERE / "golden.jsonl", "w") as out:
        for text in texts():
            rows = [{"tokenizer": "unigram.model", "literal": unigram.encode(text)}]  # by the library alone
            for name, t, config in cases:
                t.encode_special_tokens = False
                parsed = t.encode(text, add_special_tokens=False).ids
                t.encode_special_tokens = True
                literal = t.encode(text, add_special_tokens=False).ids
                decoded = t.decode(parsed, skip_special_tokens=False)
                plain = t.decode(parsed, skip_special_tokens=True)
                row = {"tokenizer": name, **config, "ids": parsed}
                if decoded != text:
                    row["decoded"] = decoded
                if plain != decoded:
                    row["plain"] = plain
                if literal != parsed:
                    row["literal"] = literal
                rows.append(row)
            out.write(json.dumps({"text": text, "cases": rows}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
