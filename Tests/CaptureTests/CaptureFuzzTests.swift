import Capture
import TestSupport
import Testing

@Suite("Hostile captures") struct CaptureFuzzTests {
    @Test("whatever a file holds, reading it ends, within its bounds")
    func mutated() async throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "mutated captures"))
        let corpus = try CaptureFiles.golden(limit: 8192)
        #expect(corpus.count > 50)
        var (frames, errors) = (0, 0)
        for _ in 0..<RandomTest.count(3000) {
            let file = PacketMutation.mutate(corpus, using: &generator)
            let result = try await CaptureFiles.read(file)
            frames += result.frames.count
            errors += result.error == nil ? 0 : 1
            // Each frame has a header in the file, so there can't be more; and its bytes are the file's.
            #expect(result.frames.count <= file.count / 16)
            #expect(result.frames.reduce(0) { $0 + $1.bytes.count } <= file.count)
            for frame in result.frames {
                #expect(frame.time <= CaptureReader.timeLimit)
                withExactMemory(of: frame.bytes) { bytes in
                    if let packet = frame.linkLayer.packet(in: bytes), let start = packet.baseAddress {
                        #expect(start >= bytes.baseAddress! && start + packet.count == bytes.baseAddress! + bytes.count)
                    }
                }
            }
        }
        // Neither all of them were refused nor none.
        #expect(frames > 0 && errors > 0)
    }

    @Test(
        "whatever a frame holds, its packet lies within it",
        arguments: [0, 1, 101, 108, 113, 228, 229, 276] as [UInt32])
    func frames(_ linkType: UInt32) throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "frames of link type \(linkType)"))
        let layer = try #require(LinkLayer(linkType: linkType))
        var found = 0
        for _ in 0..<RandomTest.count(20_000) {
            // Few values, so that tags, types and families come about.
            let frame = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                ([0, 0, 0, 2, 10, 8, 0x81, 0x88, 0xA8, 0x86, 0xDD, 0x45, 0x60] as [UInt8]).randomElement(
                    using: &generator)!
            }
            withExactMemory(of: frame) { bytes in
                guard let packet = layer.packet(in: bytes) else { return }
                found += 1
                #expect(packet.count <= bytes.count)
                #expect(packet.elementsEqual(bytes.suffix(packet.count)))
            }
        }
        #expect(found > 0)
    }
}
