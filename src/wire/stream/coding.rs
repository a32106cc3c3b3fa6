//! Content codings: gzip and zstd, within bounds.

use std::io::Write;

use flate2::{Compression, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Operation};

use super::StreamError;
use crate::wire::WireError;

/// Decoded bytes below which no ratio is asked for: small streams may shrink to almost nothing.
const RATIO_FROM: u64 = 1 << 20;
/// The largest window of a zstd stream, as a power of two: what a reader must keep in memory.
const ZSTD_WINDOW: u32 = 27;
/// How hard to compress: streams are on their way, not going to be stored.
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;

/// How the bytes of a stream are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    /// The coding of a `Content-Encoding` value; `None` for any other, stacked ones included.
    pub fn from_name(name: &str) -> Option<Coding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "identity" => Some(Coding::Identity),
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// Its name in `Content-Encoding`; `None` for identity.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        }
    }
}

/// What a compressed stream may become. A stream that is not compressed is not bounded by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// Bytes in all, decoded.
    pub bytes: u64,
    /// Decoded bytes for each encoded byte, once a mebibyte was decoded.
    pub ratio: u64,
}

/// Decodes a stream piece by piece.
pub struct Decoder {
    codec: Decompressor,
    bounds: Expansion,
    taken: u64,
    made: u64,
    /// Whether a member (gzip) or frame (zstd) has begun and not ended.
    inside: bool,
    /// Whether the codec may hold back output for want of room.
    pending: bool,
}

enum Decompressor {
    Identity,
    Gzip(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// What one call of a codec did.
struct Step {
    taken: usize,
    made: usize,
    /// Whether a member or frame ended with it.
    ended: bool,
}

impl Decompressor {
    /// Decodes what it can; `None` where the bytes are not of the coding.
    fn step(&mut self, input: &[u8], output: &mut [u8], inside: bool) -> Option<Step> {
        let step = match self {
            Decompressor::Identity => {
                let most = input.len().min(output.len());
                output.get_mut(..most)?.copy_from_slice(input.get(..most)?);
                Step {
                    taken: most,
                    made: most,
                    ended: true,
                }
            }
            Decompressor::Gzip(inflate) => {
                if !inside {
                    *inflate = gunzip();
                }
                let (taken, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, output, FlushDecompress::None)
                    .ok()?;
                Step {
                    taken: usize::try_from(inflate.total_in() - taken).ok()?,
                    made: usize::try_from(inflate.total_out() - made).ok()?,
                    ended: status == Status::StreamEnd,
                }
            }
            Decompressor::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).ok()?;
                Step {
                    taken: status.bytes_read,
                    made: status.bytes_written,
                    ended: status.remaining == 0,
                }
            }
        };
        // A codec that stands still with input and room left would do so for ever.
        let still = step.taken == 0 && step.made == 0 && !step.ended && !input.is_empty();
        (!still).then_some(step)
    }
}

impl Decoder {
    /// A decoder within bounds.
    pub fn new(coding: Coding, bounds: Expansion) -> Result<Decoder, StreamError> {
        let codec = match coding {
            Coding::Identity => Decompressor::Identity,
            Coding::Gzip => Decompressor::Gzip(gunzip()),
            Coding::Zstd => {
                let decoder = zstd::stream::raw::Decoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                    Ok(decoder)
                });
                Decompressor::Zstd(decoder.map_err(|error| StreamError::Io(error.kind()))?)
            }
        };
        Ok(Decoder {
            codec,
            bounds,
            taken: 0,
            made: 0,
            inside: false,
            pending: false,
        })
    }

    /// Decodes bytes of `input` into `output`; answers how many were taken and how many came out.
    /// Both are less than offered where the other side is used up; asked again with the rest, it
    /// goes on. Nothing taken and nothing made means that more input is needed.
    ///
    /// Errors: the bytes are not of the coding, or a bound is exceeded.
    pub fn decode(
        &mut self,
        mut input: &[u8],
        mut output: &mut [u8],
    ) -> Result<(usize, usize), StreamError> {
        let (mut taken, mut made) = (0, 0);
        while !output.is_empty() && (!input.is_empty() || self.pending) {
            let step = self
                .codec
                .step(input, output, self.inside)
                .ok_or_else(|| self.damaged())?;
            taken += step.taken;
            made += step.made;
            input = input.get(step.taken..).unwrap_or_default();
            output = output.get_mut(step.made..).unwrap_or_default();
            self.inside = !step.ended;
            // Room that was left shows that nothing is held back.
            self.pending = !step.ended && output.is_empty();
            self.count(step)?;
        }
        Ok((taken, made))
    }

    fn count(&mut self, step: Step) -> Result<(), StreamError> {
        self.taken += step.taken as u64;
        self.made += step.made as u64;
        if matches!(self.codec, Decompressor::Identity) {
            return Ok(());
        }
        if self.made > self.bounds.bytes {
            return Err(StreamError::Limit {
                what: "bytes after decompression",
                most: self.bounds.bytes,
            });
        }
        if self.made > RATIO_FROM && self.made > self.taken.saturating_mul(self.bounds.ratio) {
            return Err(StreamError::Limit {
                what: "times the compressed size after decompression",
                most: self.bounds.ratio,
            });
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self.codec {
            Decompressor::Identity => "uncompressed",
            Decompressor::Gzip(_) => "gzip",
            Decompressor::Zstd(_) => "zstd",
        }
    }

    fn damaged(&self) -> StreamError {
        StreamError::Malformed {
            what: format!(
                "the {} stream is damaged, or has other bytes behind it, after {} compressed bytes",
                self.name(),
                self.taken
            ),
        }
    }

    /// Whether the stream may end here.
    ///
    /// Errors: it is cut off in the middle.
    pub fn finish(&self) -> Result<(), StreamError> {
        let compressed = !matches!(self.codec, Decompressor::Identity);
        if compressed && (self.inside || self.taken == 0) {
            return Err(StreamError::Malformed {
                what: format!(
                    "the {} stream ended early, after {} compressed bytes",
                    self.name(),
                    self.taken
                ),
            });
        }
        Ok(())
    }
}

fn gunzip() -> Decompress {
    Decompress::new_gzip(15)
}

/// Encodes a stream piece by piece.
pub struct Encoder {
    codec: Compressor,
}

enum Compressor {
    Identity,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// What belongs at the end was written.
    Finished,
}

impl Encoder {
    /// An encoder.
    pub fn new(coding: Coding) -> Result<Encoder, StreamError> {
        let codec = match coding {
            Coding::Identity => Compressor::Identity,
            Coding::Gzip => {
                let level = Compression::new(GZIP_LEVEL);
                Compressor::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Coding::Zstd => Compressor::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(failed)?,
            ),
        };
        Ok(Encoder { codec })
    }

    /// Encodes bytes, appending to `out` in such a way that a reader of what came out so far can
    /// read all of them.
    pub fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
        if input.is_empty() {
            return Ok(());
        }
        match &mut self.codec {
            Compressor::Identity => out.extend_from_slice(input),
            Compressor::Gzip(encoder) => {
                encoder.write_all(input).map_err(failed)?;
                encoder.flush().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Compressor::Zstd(encoder) => {
                encoder.write_all(input).map_err(failed)?;
                encoder.flush().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Compressor::Finished => return Err(failed(std::io::ErrorKind::BrokenPipe.into())),
        }
        Ok(())
    }

    /// Appends what belongs at the end. Nothing can be encoded afterwards.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match std::mem::replace(&mut self.codec, Compressor::Finished) {
            Compressor::Identity | Compressor::Finished => {}
            Compressor::Gzip(encoder) => out.append(&mut encoder.finish().map_err(failed)?),
            Compressor::Zstd(encoder) => out.append(&mut encoder.finish().map_err(failed)?),
        }
        Ok(())
    }
}

fn failed(error: std::io::Error) -> StreamError {
    StreamError::Wire(WireError::Io(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Expansion = Expansion {
        bytes: u64::MAX,
        ratio: u64::MAX,
    };
    const CODINGS: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];

    fn text() -> Vec<u8> {
        (0..4_000u32)
            .flat_map(|i| {
                format!("{{\"id\":{i},\"n\":{}}}\n", i.wrapping_mul(2_654_435_761)).into_bytes()
            })
            .collect()
    }

    fn encoded(coding: Coding, pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(coding).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            encoder.encode(piece, &mut out).unwrap();
        }
        encoder.finish(&mut out).unwrap();
        out
    }

    /// Decodes with pieces of input and room of the given sizes.
    fn decoded(
        coding: Coding,
        bounds: Expansion,
        bytes: &[u8],
        piece: usize,
        room: usize,
    ) -> Result<Vec<u8>, StreamError> {
        let mut decoder = Decoder::new(coding, bounds)?;
        let mut result = Vec::new();
        let mut output = vec![0; room];
        for mut input in bytes.chunks(piece) {
            loop {
                let (taken, made) = decoder.decode(input, &mut output)?;
                result.extend_from_slice(&output[..made]);
                input = &input[taken..];
                if (taken, made) == (0, 0) {
                    assert!(input.is_empty(), "stands still with input left");
                    break;
                }
            }
        }
        decoder.finish()?;
        Ok(result)
    }

    #[test]
    fn names_are_read_in_any_case_and_never_stacked() {
        for (name, coding) in [
            ("", None),
            ("Identity", Some(Coding::Identity)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            (" zstd ", Some(Coding::Zstd)),
            ("gzip, zstd", None),
            ("gzip,gzip", None),
            ("br", None),
            ("deflate", None),
        ] {
            assert_eq!(Coding::from_name(name), coding, "{name}");
        }
        for coding in CODINGS {
            let name = coding.name().unwrap_or("identity");
            assert_eq!(Coding::from_name(name), Some(coding));
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_however_it_arrives() {
        let text = text();
        for coding in CODINGS {
            let halves = text.split_at(text.len() / 2);
            let bytes = encoded(coding, &[halves.0, &[], halves.1]);
            for (piece, room) in [(1, 1), (1, 4096), (7, 3), (4096, 1), (1 << 20, 1 << 20)] {
                let result = decoded(coding, WIDE, &bytes, piece, room).unwrap();
                assert!(result == text, "{coding:?} {piece} {room}");
            }
        }
    }

    #[test]
    fn all_that_went_in_can_be_read_before_the_end() {
        for coding in CODINGS {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut decoder = Decoder::new(coding, WIDE).unwrap();
            for piece in text().chunks(10_000) {
                let mut out = Vec::new();
                encoder.encode(piece, &mut out).unwrap();
                let mut output = vec![0; 20_000];
                let (taken, made) = decoder.decode(&out, &mut output).unwrap();
                assert_eq!((taken, &output[..made]), (out.len(), piece), "{coding:?}");
            }
        }
    }

    #[test]
    fn an_empty_stream_of_a_coding_is_not_nothing() {
        for coding in CODINGS {
            let bytes = encoded(coding, &[]);
            assert_eq!(
                decoded(coding, WIDE, &bytes, 100, 100).unwrap(),
                b"",
                "{coding:?}"
            );
            let nothing = decoded(coding, WIDE, &[], 100, 100);
            assert_eq!(nothing.is_ok(), coding == Coding::Identity, "{coding:?}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_is_an_error() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let bytes = encoded(coding, &[&text()[..600]]);
            for end in 0..bytes.len() {
                let cut = decoded(coding, WIDE, &bytes[..end], 100, 100);
                assert!(cut.is_err(), "{coding:?} cut at {end}");
            }
        }
    }

    #[test]
    fn members_follow_each_other_and_nothing_else_does() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let one = encoded(coding, &[b"one "]);
            let two = encoded(coding, &[b"two"]);
            let both = [one.as_slice(), &two].concat();
            for (piece, room) in [(1, 1), (1000, 1), (1000, 1000)] {
                let result = decoded(coding, WIDE, &both, piece, room).unwrap();
                assert_eq!(result, b"one two", "{coding:?} {piece} {room}");
            }
            for garbage in [&b"\0"[..], b"garbage that is longer", b"\x1f", b"\x28\xb5"] {
                let bytes = [one.as_slice(), garbage].concat();
                let result = decoded(coding, WIDE, &bytes, 1000, 1000);
                assert!(result.is_err(), "{coding:?} {garbage:?}");
            }
        }
    }

    #[test]
    fn a_flipped_byte_of_gzip_is_never_other_text() {
        let text = &text()[..600];
        let bytes = encoded(Coding::Gzip, &[text]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            if let Ok(result) = decoded(Coding::Gzip, WIDE, &damaged, 1000, 1000) {
                assert!(result == text, "flipped at {at}");
            }
        }
    }

    #[test]
    fn bombs_hit_a_bound() {
        let zeros = vec![0; 8 << 20];
        for coding in [Coding::Gzip, Coding::Zstd] {
            let bytes = encoded(coding, &[&zeros]);
            let bounds = |bytes, ratio| Expansion { bytes, ratio };
            for (bounds, expected) in [
                (
                    bounds(1 << 20, u64::MAX),
                    "more than 1048576 bytes after decompression",
                ),
                (
                    bounds(u64::MAX, 100),
                    "more than 100 times the compressed size after decompression",
                ),
            ] {
                let error = decoded(coding, bounds, &bytes, 1 << 20, 1 << 16).unwrap_err();
                assert!(
                    error.to_string().starts_with(expected),
                    "{coding:?} {error}"
                );
            }
            let fits = bounds(8 << 20, u64::MAX);
            assert!(decoded(coding, fits, &bytes, 1 << 20, 1 << 16).is_ok());
        }
    }
}
