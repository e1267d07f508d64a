// SPDX-License-Identifier: Apache-2.0
// nibble-format: instruction data in the forms people have it in, to segments.
// Reads JSONL, a JSON array, CSV or TSV, writes JSONL {"segments":[{"label":false,"text":"..."},
// ...]}, of preference pairs {"chosen":[...],"rejected":[...]} (lib/data/example.h).
//   nibble-format alpaca.json --template=SmolLM2 | nibble-tokenize --model=SmolLM2
#include "cli/tool.h"
#include "data/format_records.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, fields;
  std::string from = "auto", paths = "best", template_name, model, train_on = "flags", out;
  int64_t skip_bad = 0;
  bool any_order = false;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files,
                   "JSONL, a JSON array, CSV or TSV; standard input when none is given");
  table.group("Reading");
  table
      .add("from", "FORM", o.from,
           "form of the records; auto: as the first one shows; csv, tsv: a table, of the form that "
           "its first row shows; lines: text, a line a document")
      .choices(form_choices());
  table.add("fields", "FIELD:NAME,...", o.fields,
            "what the records call a form's fields, as in prompt:question,completion:answer");
  table
      .add("paths", "WHICH", o.paths,
           "of a tree of messages: the best path of replies, or all, each answer learnt once")
      .choices({"best", "all"});
  table.flag("any-order", o.any_order,
             "take turns in any order: two of one role together, an answer first");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.group("Writing");
  table.add("template", "DIR|NAME|FILE", o.template_name,
            "how turns are written: as the model in DIR does, a template by name (chatml, alpaca, "
            "vicuna, llama-2, llama-3, mistral, zephyr, phi-3, gemma), or a FILE of Jinja");
  table.add("model", "DIR", o.model,
            "the model whose bos and eos a template by name or FILE writes");
  table
      .add("train-on", "WHAT", o.train_on,
           "what is learnt: assistant, last (the last answer), all, roles:ROLE,ROLE, or flags: the "
           "assistant's turns, but of a turn with \"weight\", \"train\", \"training\" or "
           "\"loss_weight\" what that says")
      .also({"train-on-inputs"});
  table.out(o.out, "the segments; standard output when not given");
}

void run(const Options& o, ToolContext& context) {
  FormatRules rules = {.names = parse_field_names(o.fields),
                       .paths = o.paths == "all" ? Paths::kAll : Paths::kBest,
                       .segments = rules_for_template(o.template_name, o.model)};
  rules.segments.train_on = parse_train_on(o.train_on);
  rules.segments.any_order = o.any_order;
  set_form(rules, o.from);
  LineWriter out(o.out);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  FormatCounts counts;
  format_records(
      rules, o.files, bad, counts,
      [&](const Record&, const FormattedRecord& record) {
        if (!record.lines.empty()) out.line(record.lines);
      },
      [&](const std::string& text) { context.say(text); });
  out.commit();

  context.say(cat(counts.written, " examples written"));
  if (counts.flags > counts.flags_overridden)
    context.say(cat(counts.flags - counts.flags_overridden,
                    " turns are trained on or not as their own flags say"));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
  for (const std::string& text : describe(counts)) context.warn(text);
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-format",
       .summary = "write instruction data as the text that a model is trained on",
       .synopsis = "[FILE...] [--template=DIR|NAME|FILE] [-o OUT.jsonl]",
       .description =
           "Reads the forms that instruction data comes in (messages, sharegpt, alpaca, prompt and "
           "completion, question and answer, oasst trees, preference pairs, kto ratings, text) and "
           "writes segments, JSONL {\"segments\":[{\"label\":false,\"text\":\"...\"}, ...]}, where "
           "label says what is trained on; a preference pair becomes {\"chosen\":[...],"
           "\"rejected\":[...]}, and a rating stands beside the segments as \"label\". Prompt and "
           "completion, and text, are taken as they stand and end with the model's eos; turns are "
           "written by the template.",
       .examples = {{"nibble-format alpaca.json --template=SmolLM2 -o segments.jsonl",
                     "as the model's own chat template has it"},
                    {"nibble-format faq.csv --fields=question:Question,answer:Reply "
                     "--template=chatml",
                     "a table with other names for the fields"},
                    {"nibble-format trees.jsonl.zst --paths=all --template=SmolLM2",
                     "every path through OASST's trees"}},
       .computes = true},
      declare, run);
}
