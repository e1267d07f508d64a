#!/usr/bin/awk -f
# SPDX-License-Identifier: Apache-2.0
#
# Makes prompts that ask a model for one more task: reads a pool of tasks, JSON lines that begin
# {"instruction":"...", and writes -v count=N prompts, JSON lines {"prompt":"..."}, each a list of
# -v shown=K instructions drawn from the pool (by -v seed=S) that breaks off after the next number.
# Two of three shown are from the first -v seeds=M of the pool, which people wrote.

match($0, /^\{"instruction": ?"([^"\\]|\\.)*"/) {
    text = substr($0, RSTART, RLENGTH)
    sub(/^\{"instruction": ?"/, "", text)
    sub(/"$/, "", text)
    pool[++size] = text
}

# Below n, by a generator that is the same in every awk (Park and Miller's).
function draw(n) {
    state = (state * 16807) % 2147483647
    return int(state / 2147483647 * n)
}

END {
    if (size < shown) {
        print "prompts.awk: the pool has fewer than " shown " tasks" > "/dev/stderr"
        exit 65
    }
    state = seed * 7919 + 1
    for (i = 0; i < 10; ++i) draw(1)
    for (i = 0; i < count; ++i) {
        split("", used)
        prompt = "Here is a list of different tasks for an assistant.\\n\\n"
        for (k = 1; k <= shown; ++k) {
            do pick = 1 + (k % 3 || size == seeds ? draw(seeds) : seeds + draw(size - seeds))
            while (pick in used)
            used[pick] = 1
            prompt = prompt k ". " pool[pick] "\\n"
        }
        print "{\"prompt\":\"" prompt shown + 1 ".\"}"
    }
}
