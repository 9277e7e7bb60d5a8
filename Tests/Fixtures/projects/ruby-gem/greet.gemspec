Gem::Specification.new do |s|
  s.name = "greet"
  s.version = "1.0"
  s.summary = "greets"
  s.authors = ["x"]
  s.files = ["lib/greet.rb"]
  s.homepage = "https://example.org"
  s.license = "MIT"
end
