const fs = require("fs");
fs.mkdirSync("public");
fs.writeFileSync("public/index.html", "<h1>rendered</h1>\n");
