module.exports = (s) => s + '!';
