import OCI

/// Which of the statements about an image are read: whoever wrote them may have written any number, of any size, and the same one
/// again and again. What is too much is left out, and the image and the other statements are as they were.
struct StatementBudget {
    private var bytes: Int64 = 0
    /// How many statements were left out.
    private(set) var skipped = 0

    /// The statements that a manifest names as its layers.
    mutating func statements(of manifest: Manifest) -> [Descriptor] {
        let all = manifest.layers.filter { $0.mediaType == MediaType.inToto }
        skipped += max(0, all.count - AttestationNames.most)
        return all.prefix(AttestationNames.most).filter { layer in
            // First of all a size is one: it could be any number.
            guard (0...Int64(Limits.statementBytes)).contains(layer.size), bytes + layer.size <= Int64(Limits.attachmentBytes) else {
                skipped += 1
                return false
            }
            bytes += layer.size
            return true
        }
    }

    /// Notes that a statement cannot be had.
    mutating func skip() { skipped += 1 }

    /// What a statement states; nil when that is more than goes on from here.
    mutating func attestation(_ statement: [UInt8]) throws -> ImageAttachments.Attestation? {
        let attestation = try ImageAttachments.Attestation(statement: statement)
        guard attestation.predicate.utf8.count <= Limits.predicateBytes else {
            skipped += 1
            return nil
        }
        return attestation
    }
}

extension Index {
    /// The manifests of statements about one of the images.
    func attestations(of image: Digest) -> ArraySlice<Descriptor> {
        manifests.filter { entry in
            entry.annotations?[AttestationNames.type] == AttestationNames.manifest
                && entry.annotations?[AttestationNames.subject] == "\(image)"
        }.prefix(AttestationNames.most)
    }
}

extension ImageAttachments.Attestation {
    /// What a statement of in-toto states, without the image that it is about.
    fileprivate init(statement bytes: [UInt8]) throws {
        let statement: JSONValue
        do {
            statement = try JSONValue.parse(bytes, limits: .init(bytes: Limits.statementBytes))
        } catch {
            throw ImageError.invalid("invalid attestation: \(error)")
        }
        guard let type = statement["predicateType"]?.string, let predicate = statement["predicate"] else {
            throw ImageError.invalid("invalid attestation: no statement of in-toto")
        }
        self.init(predicateType: type, predicate: String(decoding: predicate.serialized(), as: UTF8.self))
    }
}
