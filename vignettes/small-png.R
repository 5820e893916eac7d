# Figures of vignettes with a palette, a third of the size of R's PNG files, which have 24 bits for each pixel.
# Sourced by the setup of a vignette; use_small_png() makes knitr draw BMP files, and writes them again.

use_small_png <- function() {
  if (!capabilities("cairo")) {
    return(invisible(NULL))
  }
  # A BMP file under the name of a PNG file, until the hook has been there.
  knitr::opts_chunk$set(dev = "bmp", fig.ext = "png", dev.args = list(type = "cairo"))
  insert <- knitr::knit_hooks$get("plot")
  knitr::knit_hooks$set(plot = function(x, options) {
    if (identical(readChar(x, 2L, useBytes = TRUE), "BM")) write_png(few_colours(read_bmp(x)), x)
    insert(x, options)
  })
}

# Pixels as a matrix of 0xRRGGBB, top row first. R gives a bitmap of at most 256 colours a palette.
read_bmp <- function(path) {
  bytes <- as.integer(readBin(path, "raw", file.size(path)))
  number <- function(at, size) sum(bytes[at + seq_len(size)] * 256^(seq_len(size) - 1))
  rgb_from <- function(blue, of) of[blue] + 256L * of[blue + 1] + 65536L * of[blue + 2]
  width <- number(18, 4)
  height <- number(22, 4)
  channels <- number(28, 2) / 8
  first <- number(10, 4)
  stride <- 4 * ceiling(width * channels / 4)
  pixels <- matrix(bytes[first + seq_len(stride * height)], stride)[, height:1]
  if (channels == 1) {
    rgb_of_palette <- rgb_from(seq(55, first - 3, by = 4), bytes)
    return(t(matrix(rgb_of_palette[pixels[seq_len(width), ] + 1L], width)))
  }
  blue <- rep(channels * seq_len(width) - channels + 1, height) + stride * rep(seq_len(height) - 1, each = width)
  t(matrix(rgb_from(blue, pixels), width))
}

# Colours that are nearly the same become the most frequent of them.
few_colours <- function(pixels, step = 10L) {
  count <- sort(table(pixels), decreasing = TRUE)
  colours <- as.integer(names(count))
  repeat {
    blue <- colours %% 256L %/% step
    green <- colours %/% 256L %% 256L %/% step
    cell <- blue + 256L * green + 65536L * (colours %/% 65536L %/% step)
    palette <- colours[!duplicated(cell)]
    if (length(palette) <= 256L) break
    step <- step + 2L
  }
  index <- match(cell, unique(cell))[match(pixels, colours)]
  list(index = matrix(index - 1L, nrow(pixels)), palette = palette)
}

write_png <- function(image, path) {
  big_endian <- function(x) as.raw(x %/% 256^(3:0) %% 256)
  chunk <- function(type, data) {
    body <- c(charToRaw(type), data)
    c(big_endian(length(data)), body, crc32(body))
  }
  header <- c(big_endian(ncol(image$index)), big_endian(nrow(image$index)), as.raw(c(8, 3, 0, 0, 0)))
  palette <- as.raw(rbind(image$palette %/% 65536L, image$palette %/% 256L %% 256L, image$palette %% 256L))
  # Each row begins with its filter: none.
  rows <- as.raw(rbind(0L, t(image$index)))
  signature <- as.raw(c(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))
  writeBin(
    c(
      signature, chunk("IHDR", header), chunk("PLTE", palette), chunk("IDAT", memCompress(rows, "gzip")),
      chunk("IEND", raw())
    ), path
  )
}

# The checksum of PNG, as four bytes. Halves of 16 bits, for R's integers have a sign.
crc32 <- function(bytes) {
  table <- vapply(0:255, function(n) {
    high <- 0L
    low <- n
    for (k in 1:8) {
      odd <- low %% 2L == 1L
      low <- low %/% 2L + 32768L * (high %% 2L)
      high <- high %/% 2L
      if (odd) {
        low <- bitwXor(low, 0x8320L)
        high <- bitwXor(high, 0xedb8L)
      }
    }
    c(high, low)
  }, integer(2))
  high <- low <- 0xffffL
  for (byte in as.integer(bytes)) {
    at <- bitwXor(low %% 256L, byte) + 1L
    low <- bitwXor(low %/% 256L + 256L * (high %% 256L), table[2, at])
    high <- bitwXor(high %/% 256L, table[1, at])
  }
  as.raw(bitwXor(c(high %/% 256L, high %% 256L, low %/% 256L, low %% 256L), 255L))
}
