// Compressed files, in pieces: as they are, and as the contents of one whose checksum is not looked at
// before.
#include "core/io/inflate.h"

#include "tests/fuzz/fuzz.h"

FUZZ(inflate) {
  using namespace headrace;
  for (const Container container : {Container::gzip, Container::zlib}) {
    for (const char* header : {"", "gzip", "zlib"}) {
      const bool gzip = header[0] == 'g';
      if (header[0] && gzip != (container == Container::gzip)) continue;
      std::string file(header[0] == 0 ? "" : gzip ? "\x1f\x8b\x08" : "\x78\x9c");
      if (gzip) file.append(7, '\0');
      file += bytes;
      std::string_view rest = file;
      Inflater inflater("file", container, [&] {
        const std::string_view piece = rest.substr(0, 1 + rest.size() / 3);
        rest.remove_prefix(piece.size());
        return piece;
      });
      try {
        // What is compressed may be a thousand times as long.
        std::size_t made = 0;
        for (std::string_view piece; !(piece = inflater.read()).empty() && made < (1u << 24);)
          made += piece.size();
      } catch (const Error& error) {
        if (error.code() != Code::data_loss) throw;
      }
    }
  }
}
