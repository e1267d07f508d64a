// SPDX-License-Identifier: Apache-2.0
// The control groups that a process is in (a container, a batch job), of version 1 or 2.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace nibble {

enum class GroupVersion { k1, k2 };

/// Calls visit(folder, version) for each folder whose files may limit what `controller` ("cpu",
/// "memory") rules: from the process's group up to the root. Not every folder exists: a container
/// may see a path that its mount does not have, and its root is then its own group. A folder may
/// come twice. `mount` is where the groups are mounted, `self` lists the process's own; none where
/// it cannot be read.
void for_control_groups(
    std::string_view controller, const std::filesystem::path& mount,
    const std::filesystem::path& self,
    const std::function<void(const std::filesystem::path& folder, GroupVersion version)>& visit);

}  // namespace nibble
