// SPDX-License-Identifier: Apache-2.0
// nibble-inspect says what is in a file or folder: GGUF, safetensors, model and adapter folders,
// checkpoints, packed shards, JSON lines. It writes text, or with --json one object a path.
//   nibble-inspect smollm2-nf4/ --verify
#include "cli/tool.h"
#include "model/inspect.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> paths;
  std::string show;
  bool stats = false, verify = false;
};

void declare(OptionTable& table, Options& o) {
  table.positional("PATH", o.paths, "what to look into");
  table.add(
      "show", "NAME", o.show,
      "write one thing whole: a tensor's values (a row a line), a metadata value, or a row of "
      "a packed shard by its number");
  table.flag("stats", o.stats, "minimum, maximum, mean and root mean square of every tensor");
  table.flag("verify", o.verify,
             "read everything (checksums, shapes, names, finite values), list what is wrong");
}

Exit run(const Options& o, ToolContext& context) {
  if (o.paths.empty()) throw UsageError("no PATH; name a file or folder");
  if (!o.show.empty()) {
    for (const std::string& path : o.paths)
      show(path, o.show, [](std::string_view text) { write_stdout(text); });
    return Exit::kDone;
  }
  bool sound = true;
  for (const std::string& path : o.paths) {
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
       .summary = "say what is in a model, adapter, checkpoint, shard or tensor file",
       .synopsis = "PATH... [OPTION...]",
       .description =
           "Recognises GGUF and safetensors files, model and adapter folders (dense or quantised), "
           "checkpoints, packed shards and JSON lines, and writes a summary, the metadata and the "
           "tensors with their types, shapes and sizes.",
       .examples = {{"nibble-inspect smollm2/", "family, sizes and tensors"},
                    {"nibble-inspect model.gguf --show=tokenizer.chat_template",
                     "one metadata value, whole"},
                    {"nibble-inspect train.nbp adapter/ --verify", "exit 1 where one is damaged"}},
       .exit_codes = {{1, "--verify found something wrong"}},
       .reports = true},
      declare, run);
}
