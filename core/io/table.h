// Sorted tables in a file: the format of LevelDB, in which checkpoints keep their index.
//
//   blocks of entries | metaindex block | index block | footer (48 bytes)
//
// A block is entries (bytes shared with the key before, bytes not shared, bytes of the value, the key's rest,
// the value), then where entries with whole keys start, and how many of those there are. Behind it stand its
// compression and a masked checksum. The index block leads from keys to blocks, the footer to the index.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace headrace {

using Table = std::map<std::string, std::string, std::less<>>;

// The bytes of a file that holds the table.
std::string write_table(const Table& table);
// The table in the bytes of a file; every checksum is verified. DataLoss, naming `file` and the offset, if it
// is damaged, or if its entries would take many times the memory of the file.
Table read_table(std::string_view bytes, const std::string& file);

}  // namespace headrace
