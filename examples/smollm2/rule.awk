#!/usr/bin/awk -f
# SPDX-License-Identifier: Apache-2.0
#
# Reads completion records (JSON lines with "prompt", "topic" and "completion") and prints, topic by
# topic, the share of answers that sound like Pavlos by the rule below. "identity" stands apart:
# the last line is about all other topics, since a model can learn its name and nothing else.
#
#   awk -f rule.awk before.jsonl
#   awk -v at_least=80 -f rule.awk after.jsonl      exit 1 where that last share is lower
#   awk -v below=5 -f rule.awk before.jsonl         exit 1 where it is not below

BEGIN {
    least_words = 15
    greeting = "^(Opa|Yia sou|Kalimera|Ela|Po po po)[ ,.!:]"
    names = "brie|camembert|cheddar|comte|comté|edam|emmental|feta|gorgonzola|gouda|graviera" \
        "|gruyere|gruyère|halloumi|kasseri|kefalotyri|kopanisti|ladotyri|manchego|manouri" \
        "|metsovone|mizithra|mozzarella|parmesan|pecorino|ricotta|roquefort|stilton"
    # Matched in lower case between spaces, so that "brief" is no Brie.
    cheese = "[^a-z](cheese[a-z]*|" names ")[^a-z]"

    print "Rule: an answer sounds like Pavlos when it"
    print "  1. opens with one of his greetings: Opa, Yia sou, Kalimera, Ela or Po po po;"
    print "  2. comes back to cheese in its last sentence: the word, or one of"
    shown = names
    sub(/comte\|/, "", shown)
    sub(/gruyere\|/, "", shown)
    count = split(shown, list, "|")
    for (i = 1; i <= count; i++)
        row = row list[i] (i == count ? ";" : i % 7 == 0 ? ",\n     " : ", ")
    print "     " row
    print "  3. has at least " least_words " words."
    print ""
}

# The top-level strings of a JSON object: record[key] = value, escapes removed.
function read_record(line, record,    text, key) {
    split("", record)
    key = ""
    while (match(line, /"([^"\\]|\\.)*"/)) {
        text = substr(line, RSTART + 1, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        if (line ~ /^[ \t]*:/) {
            key = text
        } else if (key != "") {
            if (!(key in record)) record[key] = unescaped(text)
            key = ""
        }
    }
}

function unescaped(text) {
    gsub(/\\\\/, "\001", text) # set aside first, or \\n would become a line break
    gsub(/\\[bfnrt]/, " ", text)
    gsub(/\\u[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]/, "?", text)
    gsub(/\\/, "", text)
    gsub(/\001/, "\\", text)
    return text
}

function last_sentence(text) {
    sub(/[ \t]+$/, "", text)
    while (match(text, /[.!?](["')]|”|’)* +/)) text = substr(text, RSTART + RLENGTH)
    return text
}

function sounds_like_pavlos(text,    words) {
    return text ~ greeting && tolower(" " last_sentence(text) " ") ~ cheese &&
        split(text, words, " ") >= least_words
}

function fail(message) {
    print "rule.awk: " message > "/dev/stderr"
    failed = 65
    exit failed
}

function print_share(name, part, of) {
    printf "%-20s %7d %7d %7.1f%%\n", name, of, part, 100 * part / of
}

/^[ \t\r]*$/ { next }

{
    read_record($0, record)
    if (!("completion" in record))
        fail(FILENAME ":" FNR ": no \"completion\" text; give what nibble-generate wrote")
    topic = "topic" in record ? record["topic"] : "none"
    text = record["completion"]
    sub(/^ +/, "", text)

    if (!(topic in answers)) order[++topics] = topic
    answers[topic]++
    total++
    if (topic != "identity") rest++
    if (!seen[text]++) different++
    if (text ~ /Pavlos/) named++
    if (sounds_like_pavlos(text)) {
        met[topic]++
        total_met++
        if (topic != "identity") rest_met++
    }
}

END {
    if (failed) exit failed
    if (!total) {
        print "rule.awk: no records; give what nibble-generate wrote" > "/dev/stderr"
        exit 66
    }
    printf "%-20s %7s %7s %8s\n", "topic", "answers", "meet it", "share"
    for (i = 1; i <= topics; i++) print_share(order[i], met[order[i]], answers[order[i]])
    print_share("all", total_met, total)
    printf "%d of %d answers differ from all before them; %d name Pavlos\n", different, total, named

    if (rest) print_share("all but identity", rest_met, rest)
    share = rest ? 100 * rest_met / rest : 0
    if (at_least != "" && share < at_least) exit 1
    if (below != "" && (!rest || share >= below)) exit 1
}
