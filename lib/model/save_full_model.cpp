// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"
#include "model/model_writer.h"
#include "model/side_files.h"

namespace nibble {

void save_full_model(const fs::path& folder, const Model& model, const fs::path& source,
                     Dtype dtype) {
  // A tied head is the embedding's parameter and has no name of its own.
  std::vector<TensorInfo> infos;
  for (const Parameter& p : model.parameters.all())
    infos.push_back(tensor_info(p.name, dtype, p.shape));
  TensorWriter writer(folder, infos, {{"format", "pt"}}, kMaxShardBytes);
  for (size_t i = 0; i < infos.size(); ++i)
    write_weight(writer, dense_source(infos[i].name, model.parameters.value(static_cast<int>(i))),
                 dtype);
  writer.finish();
  // Last what makes it a model: where there is no room for the weights, nothing is left.
  copy_side_files(source, folder);
  write_text_file(folder / "config.json", dense_config(model.config, dtype).dump(2) + "\n");
}

}  // namespace nibble
