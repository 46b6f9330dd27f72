// The same under libFuzzer, which looks for inputs that run through code that no other did. Its inputs are packets, as the
// files of the corpus are; each is read by the views and goes into every world from both sides.

#if LIBFUZZER
    import Glibc
    import PacketBuffer
    import TestSupport

    /// Of libFuzzer's library: its own mutations.
    @_silgen_name("LLVMFuzzerMutate")
    private func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int) -> Int

    enum LibFuzzer {
        fileprivate struct State: ~Copyable {
            var worlds: [World]
            let seeds: SeedCorpus
            let slots: PacketSlots
            var builder = PacketBuilder()
            var probe = ViewProbe()
        }

        nonisolated(unsafe) fileprivate static var state: State = {
            do {
                let worlds = try World.all().map { settings in
                    let targets = TunnelTargets(settings.bindings, endpoint: settings.endpoint)
                    return try World(settings, targets, batchCapacity: 2)
                }
                let seeds = try SeedCorpus.load(directories: [])
                return State(worlds: worlds, seeds: seeds, slots: try PacketSlots(count: 2))
            } catch { fatalError("\(error)") }
        }()

        fileprivate static func test(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
            guard size <= PacketBuilder.capacity else { return -1 }
            let bytes = UnsafeRawBufferPointer(start: data, count: size)
            for world in state.worlds {
                for (slot, side) in [Side.home, .access].enumerated() {
                    let packet = state.slots.put(bytes, slot: slot, from: side)
                    guard state.probe.read(packet.bytes) else { fatalError("\(state.probe.wrong ?? "a view")") }
                    world.append(packet)
                }
                do { try world.process(in: state.slots, elapsed: 10_000_000) } catch { fatalError(error.what) }
            }
            return 0
        }

        /// Half of the time its own mutations, else those of `PacketBuilder`.
        fileprivate static func change(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: UInt32)
            -> Int
        {
            state.builder.random = SeededGenerator(seed: UInt64(seed))
            let chosen = state.builder.random.below(state.worlds.count)
            let size = state.builder.random.below(2) == 0 ? mutate(data, size, limit) : size
            if state.builder.random.below(3) == 0 { return size }
            state.builder.load(UnsafeRawBufferPointer(start: data, count: size))
            state.builder.changeGiven(state.seeds, state.worlds[chosen].targets)
            let count = min(state.builder.length, limit)
            if count > 0 {
                data.update(from: state.builder.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), count: count)
            }
            return count
        }
    }

    /// libFuzzer calls it for every input.
    @_cdecl("LLVMFuzzerTestOneInput")
    func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt { LibFuzzer.test(data, size) }

    /// libFuzzer calls it by this name where there is one.
    @_cdecl("LLVMFuzzerCustomMutator")
    func customMutator(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: UInt32) -> Int {
        LibFuzzer.change(data, size, limit, seed)
    }
#endif
