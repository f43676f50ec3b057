// Hashes of strings that are the same everywhere and for ever: graphs and checkpoints depend on them.
#pragma once

#include <cstdint>
#include <string_view>

namespace headrace {

// FarmHash's Fingerprint64 (Geoff Pike, 2014).
std::uint64_t farm_fingerprint(std::string_view text);
// MurmurHash64A (Austin Appleby, 2008).
std::uint64_t murmur_hash(std::string_view text, std::uint64_t seed);
// SipHash-2-4 (Jean-Philippe Aumasson and Daniel J. Bernstein, 2012) with a key of 128 bits.
std::uint64_t sip_hash(std::string_view text, std::uint64_t key0, std::uint64_t key1);

}  // namespace headrace
