// What is written: packets to files, sentences to standard error.

import Foundation
import Glibc

enum FuzzFiles {
    static func say(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    static func makeDirectory(_ path: String) throws(FuzzError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch { throw FuzzError("\(path): can't be made: \(error.localizedDescription)") }
    }

    static func write(_ bytes: [UInt8], to path: String) throws(FuzzError) {
        do { try Data(bytes).write(to: URL(fileURLWithPath: path)) } catch {
            throw FuzzError("\(path): can't be written: \(error.localizedDescription)")
        }
    }
}
