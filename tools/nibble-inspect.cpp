// SPDX-License-Identifier: Apache-2.0
// nibble-inspect says what is in a file or folder: GGUF, safetensors, model and adapter folders,
// checkpoints, packed shards, training data. It writes text, or with --json one object a path.
//   nibble-inspect smollm2-nf4/ --verify
//   nibble-inspect train.nbp --model=smollm2-nf4 --show
#include "cli/tool.h"
#include "data/data_stats.h"
#include "data/show_samples.h"
#include "model/inspect.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> paths, fields;
  std::string show, model, template_name, train_on = "flags", from = "auto", color = "auto";
  int64_t skip_bad = 0;
  bool stats = false, verify = false;
};

void declare(OptionTable& table, Options& o) {
  table.positional("PATH", o.paths, "what to look into");
  table
      .add("show", "NAME|N", o.show,
           "write one thing whole: a tensor's values (a row a line) or a metadata value by its "
           "NAME; of training data the first N examples (3 when bare), or those of N-M, with what "
           "is trained on standing out")
      .optional_value("3");
  table.flag("stats", o.stats,
             "minimum, maximum, mean and root mean square of every tensor; of training data "
             "counts, lengths, share trained on, duplicates, scripts and likely mistakes");
  table.flag("verify", o.verify,
             "read everything (checksums, shapes, names, finite values), list what is wrong");
  table.group("Training data");
  table.add("model", "DIR", o.model,
            "the model whose tokenizer counts and spells tokens, and whose template writes turns");
  table.add("template", "DIR|NAME|FILE", o.template_name,
            "how turns are written, as nibble-format takes it");
  table.add("train-on", "WHAT", o.train_on, "what of conversations is learnt, likewise");
  table.add("from", "FORM", o.from, "the form of conversations, likewise").choices(form_choices());
  table.add("fields", "FIELD:NAME,...", o.fields, "what the records call its fields, likewise");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.add("color", "WHEN", o.color, "colour what is shown; auto: on a terminal, unless NO_COLOR")
      .choices({"auto", "always", "never"});
}

void look_into_data(const Options& o, const std::string& path, bool shows, ToolContext& context) {
  SampleRules rules = sample_rules(o.model, o.template_name, o.train_on);
  rules.format.names = parse_field_names(o.fields);
  set_form(rules.format, o.from);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  if (shows) {
    show_file(path, rules, parse_show_range(o.show), wants_color(o.color), context.json, bad,
              [](std::string_view text) { write_stdout(text); });
  } else {
    const Json report = file_stats(path, rules, bad);
    write_stdout(context.json ? report.dump() + "\n" : render_stats(report));
  }
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

Exit run(const Options& o, ToolContext& context) {
  if (o.paths.empty()) throw UsageError("no PATH; name a file or folder");
  const bool shows = context.table->given("show");
  bool sound = true;
  for (const std::string& path : o.paths) {
    if ((shows || (o.stats && !o.verify)) && is_training_data(path)) {
      look_into_data(o, path, shows, context);
      continue;
    }
    if (shows) {
      show(path, o.show, [](std::string_view text) { write_stdout(text); });
      continue;
    }
    const Json document = inspect(path, {.stats = o.stats, .verify = o.verify});
    write_stdout(context.json ? document.dump() + "\n" : render_inspection(document));
    const Json* faults = document.find("faults");
    sound = sound && (!faults || faults->as_array().empty());
  }
  return sound ? Exit::kDone : Exit::kNo;
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-inspect",
       .summary =
           "say what is in a model, adapter, checkpoint, shard, tensor file or training data",
       .synopsis = "PATH... [OPTION...]",
       .description =
           "Recognises GGUF and safetensors files, model and adapter folders (dense or quantised), "
           "checkpoints, packed shards and JSON lines, and writes a summary, the metadata and the "
           "tensors with their types, shapes and sizes. With --show and --stats it reads training "
           "data of every kind: instruction data in the forms that nibble-format reads, segments, "
           "token rows and packed shards.",
       .examples = {{"nibble-inspect smollm2/", "family, sizes and tensors"},
                    {"nibble-inspect model.gguf --show=tokenizer.chat_template",
                     "one metadata value, whole"},
                    {"nibble-inspect train.nbp --model=smollm2 --show=5",
                     "five examples, what is trained on in colour"},
                    {"nibble-inspect alpaca.json --model=smollm2 --stats",
                     "lengths in tokens, duplicates, likely mistakes"},
                    {"nibble-inspect train.nbp adapter/ --verify", "exit 1 where one is damaged"}},
       .exit_codes = {{1, "--verify found something wrong"}},
       .reports = true},
      declare, run);
}
