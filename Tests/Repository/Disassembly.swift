// Which functions call which, read from a program's machine code by objdump (binutils), on x86-64 and ARM.

import Testing

/// The code of one program.
struct Disassembly {
    /// What a function calls, or jumps to and does not come back from.
    enum Callee: Hashable {
        /// By its symbol; one of a library ends with `@plt`.
        case function(String)
        /// Code without a symbol, behind a function that has one.
        case unnamed(String)
        /// Through a register or memory: a closure, a witness, a method of a class.
        case indirect
        /// memcpy of a number of bytes that is fixed, which is a value that moves; known on x86-64.
        case copy(bytes: Int)
    }

    let program: String
    /// The functions that have a symbol.
    let symbols: Set<String>

    init(of program: String) async throws {
        self.program = program
        // Data and what other files define have other letters.
        let list = try await Command.run(["sh", "-c", #"nm "$0" | sed -n 's/^[0-9a-f]* [tTwW] //p'"#, program])
        symbols = Set(list.utf8.split(separator: UInt8(ascii: "\n")).map { String(Substring($0)) })
    }

    func callees(of function: String) async throws -> Set<Callee> {
        let text = try await Command.run(
            ["objdump", "--disassemble=\(function)", "--no-show-raw-insn", "--section=.text", program])
        // "  1d85d3:	call   99750 <swift_retain@plt>"; a jump within the function has its name with an offset.
        let instruction = #/\s*[0-9a-f]+:\t(\S+)(?:\s+(.*))?/#
        var callees: Set<Callee> = []
        var instructions = 0
        // The third argument of the call that comes next.
        var size: (bytes: Int, at: Int)?
        for line in text.split(separator: "\n") {
            guard let match = line.wholeMatch(of: instruction) else { continue }
            instructions += 1
            let (mnemonic, operand) = (match.1, match.2 ?? "")
            if mnemonic == "mov", let value = operand.wholeMatch(of: #/\$0x([0-9a-f]+),%edx/#) {
                size = Int(value.1, radix: 16).map { ($0, instructions) }
            }
            guard Self.isBranch(mnemonic) else { continue }
            if let target = operand.firstMatch(of: #/<([^>+]+)(\+0x[0-9a-f]+)?>/#) {
                let (name, hasOffset) = (String(target.1), target.2 != nil)
                if name == function, hasOffset { continue }
                if name == "memcpy@plt", let size, instructions - size.at < 8 {
                    callees.insert(.copy(bytes: size.bytes))
                }
                callees.insert(hasOffset ? .unnamed(String(target.output.0)) : .function(name))
            } else if mnemonic.hasPrefix("call") || mnemonic.hasPrefix("blr") {
                // Indirect jumps are not counted: a switch makes them.
                callees.insert(.indirect)
            }
        }
        try #require(instructions > 0, "\(function) has no code in \(program)")
        return callees
    }

    /// Calls and jumps: `call`, `jmp`, `jne`; `bl`, `b`, `b.eq`, `cbz`, `tbnz`.
    private static func isBranch(_ mnemonic: Substring) -> Bool {
        ["call", "j", "bl", "b.", "cb", "tb"].contains { mnemonic.hasPrefix($0) } || mnemonic == "b"
    }
}
