const { name } = require("./package.json");
console.log("node", name, process.env.NODE_ENV || "none", process.getuid());
