// SPDX-License-Identifier: Apache-2.0
#include "base/control_groups.h"

#include <fstream>
#include <string>

#include "base/error.h"

namespace nibble {

namespace fs = std::filesystem;

void for_control_groups(
    std::string_view controller, const fs::path& mount, const fs::path& self,
    const std::function<void(const fs::path& folder, GroupVersion version)>& visit) {
  const auto up = [&](const fs::path& root, const std::string& path, GroupVersion version) {
    visit(root, version);
    for (fs::path group = fs::path(path).relative_path(); !group.empty();
         group = group.parent_path())
      visit(root / group, version);
  };
  std::ifstream file(self);
  // "hierarchy:controllers:path"; version 2 has hierarchy 0 and names no controllers.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      up(mount, path, GroupVersion::k2);
      up(mount / "unified", path, GroupVersion::k2);
    } else if (("," + controllers + ",").find(cat(",", controller, ",")) != std::string::npos) {
      up(mount / controller, path, GroupVersion::k1);
      up(mount / controllers, path, GroupVersion::k1);
    }
  }
}

}  // namespace nibble
